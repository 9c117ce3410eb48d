//! Chromium without a window: opens a page, and returns what the page has found out about itself.

use crate::session::Process;
use crate::setup::facts;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The browser's name.
pub const NAME: &str = "Chromium";
/// The flag that has it prefer dark colours.
const DARK: &str = "--blink-settings=preferredColorScheme=0";
/// How long it may take.
const LIMIT: Duration = Duration::from_secs(120);
/// What stands in front of the page's findings in its document.
const MARK: &str = "<script type=\"application/json\" id=\"check\">";

/// What the page has found out (`check` in `page.js`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// How many spans are drawn when all is shown, at first and at the end.
    pub spans: usize,
    pub again: usize,
    /// The names of the spans, sorted, each once.
    pub names: Vec<String>,
    /// The bands that are drawn as set; with `?` those that are drawn as changing.
    pub bands: Vec<String>,
    /// Whether each span is drawn below the one that it lies in, and within its time.
    pub nested: bool,
    /// Whether it is drawn for a dark room.
    pub dark: bool,
    /// How many spans Tab goes through, and whether in their order.
    pub walked: usize,
    pub in_order: bool,
    /// Whether the details show the last span's name, PC and rule.
    pub described: bool,
    /// How many ticks are shown at the closest, and with how many lines.
    pub ticks: f64,
    pub lines: usize,
    /// Whether the view moves, and how many ticks it shows after zooming out once.
    pub moved: bool,
    pub out: f64,
    /// The heading of the details while the pointer is at the first span.
    pub hovered: String,
    /// What has the focus after Escape.
    pub left: String,
    /// The least contrast of a text; of what [`open`] returns, of light and of dark colours.
    pub contrast: f64,
}

/// Opens a page, has it check itself, and makes a picture of it as a reader sees it first.
///
/// # Errors
/// When the browser cannot be started or does not end, or the page has not come to the end of its check.
pub fn open(page: &Path, screenshot: Option<&Path>) -> Result<Opened> {
    let page = page.canonicalize().with_context(|| format!("cannot find {}", page.display()))?;
    if let Some(picture) = screenshot {
        // Chromium takes a relative path for one in its own folder.
        let picture = std::path::absolute(picture)?;
        run(&[&format!("--screenshot={}", picture.display()), &format!("file://{}", page.display())])?;
    }
    let address = format!("file://{}#check", page.display());
    let light = read(&run(&["--dump-dom", &address])?)?;
    let dark = read(&run(&["--dump-dom", DARK, &address])?)?;
    ensure!(!light.dark && dark.dark, "{NAME} has not changed its colours: {light:?}, {dark:?}");
    Ok(Opened { contrast: light.contrast.min(dark.contrast), ..light })
}

fn read(document: &str) -> Result<Opened> {
    let found = document.split_once(MARK).and_then(|(_, rest)| rest.split_once("</script>"));
    let (found, _) = found.context("the page has not come to the end of its check")?;
    serde_json::from_str(found).with_context(|| format!("the page says {found}"))
}

/// Runs the browser, and returns what it prints.
fn run(arguments: &[&str]) -> Result<String> {
    let program = facts::browser().context("Chromium is not installed")?;
    let own = tempfile::Builder::new().prefix("stepwell-browser").tempdir()?;
    let (mut said, complaints) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut command = Command::new(program);
    // A user's settings stay out of it, and nothing is looked up outside of this machine. In a container there is no sandbox.
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,960"])
        .args(["--virtual-time-budget=10000", "--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run"])
        .arg(format!("--user-data-dir={}", own.path().display()))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(complaints);
    let mut browser = Process::start(&mut command)?;
    let Some(status) = browser.wait_until(Instant::now() + LIMIT)? else {
        bail!("{NAME} has not ended within {} s", LIMIT.as_secs())
    };
    let mut text = String::new();
    said.rewind()?;
    said.read_to_string(&mut text)?;
    if !status.success() {
        bail!("{NAME} failed: {status}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_has_not_checked_itself_is_told() {
        assert!(read("<html><body></body></html>").is_err());
        assert!(read(&format!("{MARK}{{}}</script>")).is_err());
    }

    #[test]
    fn the_findings_are_read() {
        let page = format!(
            "<p>{MARK}{{\"spans\":2,\"again\":2,\"names\":[\"IRQ (M8)\"],\"bands\":[\"D\",\"I?\"],\"nested\":true,\"dark\":false,\"walked\":2,\"inOrder\":true,\
             \"described\":true,\"ticks\":8,\"lines\":9,\"moved\":true,\"out\":16,\"hovered\":\"IRQ (M8)\",\"left\":\"one\",\
             \"contrast\":5.5}}</script>"
        );
        let opened = read(&page).unwrap();
        assert_eq!((opened.spans, opened.in_order, opened.ticks), (2, true, 8.0));
        assert_eq!(opened.bands, ["D", "I?"]);
    }
}
