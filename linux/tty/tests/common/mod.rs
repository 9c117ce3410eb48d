//! A terminal whose output is kept as text.
#![allow(dead_code)]

use linux_raw_sys::general as raw;
use tty::{Effects, OutputQueue, Read, Termios, Tty};

#[derive(Default)]
pub struct Out(pub Vec<u8>);

impl OutputQueue for Out {
    fn send(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn discard(&mut self) {
        self.0.clear();
    }
}

pub struct Terminal {
    pub tty: Tty,
    pub out: Out,
}

impl Terminal {
    /// A terminal whose default settings `change` changes.
    pub fn with(change: impl FnOnce(&mut Termios)) -> Self {
        let mut tty = Tty::new().unwrap();
        let mut termios = *tty.termios();
        change(&mut termios);
        let _ = tty.set_termios(termios);
        Self { tty, out: Out::default() }
    }

    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// Without editing, echo and signals; the four settings of cfmakeraw(3) that matter here.
    pub fn raw(min: u8, time: u8) -> Self {
        Self::with(|termios| make_raw(termios, min, time))
    }

    pub fn change(&mut self, change: impl FnOnce(&mut Termios)) {
        let _ = self.changed(change);
    }

    /// Changes the settings. Returns the effects.
    pub fn changed(&mut self, change: impl FnOnce(&mut Termios)) -> Effects {
        let mut termios = *self.tty.termios();
        change(&mut termios);
        self.tty.set_termios(termios)
    }

    /// Types bytes.
    pub fn press(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.effects(bytes);
    }

    /// Types bytes. Returns the last one's effects.
    pub fn effects(&mut self, bytes: impl AsRef<[u8]>) -> Effects {
        bytes.as_ref().iter().map(|byte| self.tty.input(*byte, &mut self.out)).last().unwrap_or_default()
    }

    /// Types bytes. Returns what is echoed.
    pub fn echo(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.out.0.clear();
        self.press(bytes);
        String::from_utf8(std::mem::take(&mut self.out.0)).unwrap()
    }

    /// What a `read` of at most `max` bytes returns; `None` if it would wait.
    pub fn read(&mut self, max: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; max];
        match self.tty.read(&mut buffer, 0) {
            Read::Return(done) => Some(buffer[..done].to_vec()),
            Read::Wait { done: 0, .. } => None,
            Read::Wait { done, .. } => panic!("waits with {done} bytes"),
        }
    }

    pub fn read_text(&mut self, max: usize) -> Option<String> {
        self.read(max).map(|bytes| String::from_utf8(bytes).unwrap())
    }
}

pub fn make_raw(termios: &mut Termios, min: u8, time: u8) {
    termios.iflag = 0;
    termios.oflag &= !raw::OPOST;
    termios.lflag &= !(raw::ICANON | raw::ECHO | raw::ECHONL | raw::ISIG | raw::IEXTEN);
    termios.cc[raw::VMIN as usize] = min;
    termios.cc[raw::VTIME as usize] = time;
}
