/*
 * What the programs that measure share. Under icount one tick of CNTVCT_EL0 is one guest instruction. A figure is the median of many samples
 * of an operation between two reads of the counter, minus that of no operation. Each figure is a line `bench: KEY INSTRUCTIONS`.
 */
#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES 1001
/* How many samples of a series have marks. */
#define MARKED 8

/*
 * The marks of a sample, as in the kernel (harness/src/bench/samples.rs): the series, or 0 at the end, is in x0, and the counter becomes x1.
 * The host finds them in front of the entry point, where they must stay. A call of a mark leaves most registers alone, so that the compiler
 * makes the same of a sample as without marks.
 */
#define MARK(name, number) \
	__asm__ volatile("mov x0, %0\n	bl " name : : "r"((uint64_t)(number)) : "x0", "x1", "x30", "memory")

/* The counter at the program's first instruction, which is the machine's first one at EL0: `first` is the entry point. */
uint64_t bench_started;
__asm__(
	".globl sample_begin, sample_end, first\n"
	"sample_begin:\n"
	"	mrs	x1, cntvct_el0\n"
	"	ret\n"
	"sample_end:\n"
	"	mrs	x1, cntvct_el0\n"
	"	nop\n"
	"	nop\n"
	"	ret\n"
	"first:\n"
	"	mrs	x9, cntvct_el0\n"
	"	adrp	x10, bench_started\n"
	"	str	x9, [x10, #:lo12:bench_started]\n"
	"	b	_start\n");

static inline uint64_t counter(void)
{
	uint64_t value;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value) : : "memory");
	return value;
}

static int bench_order(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

__attribute__((unused))
static uint64_t bench_median(uint64_t *samples, int count)
{
	qsort(samples, count, sizeof *samples, bench_order);
	return samples[count / 2];
}

/* A series of samples: its number, from 1 on, and the median. */
struct series {
	uint64_t number, median;
};

static uint64_t series_so_far;

/* A series of so many samples of a statement. */
#define MEDIAN(count, statement) ({ \
	static uint64_t samples_[count]; \
	uint64_t number_ = ++series_so_far; \
	for (int i_ = 0; i_ < (count); i_++) { \
		int marked_ = i_ % ((count) / MARKED) == (count) / MARKED / 2; \
		/* The compiler must not make two loops of this one: it would not make the same of the two samples in them. */ \
		__asm__ volatile("" : "+r"(marked_)); \
		if (marked_) \
			MARK("sample_begin", number_); \
		uint64_t start_ = counter(); \
		statement; \
		samples_[i_] = counter() - start_; \
		if (marked_) \
			MARK("sample_end", 0); \
	} \
	(struct series){ number_, bench_median(samples_, count) }; \
})

/* No samples. */
static const struct series none;

/* A system call without a C library in between. The result of a failure is the negative error number. */
static inline long raw_call(long number, long first)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = first;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8) : "memory");
	return x0;
}

__attribute__((unused))
static inline long raw_call_4(long number, long first, long second, long third, long fourth)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = first;
	register long x1 __asm__("x1") = second;
	register long x2 __asm__("x2") = third;
	register long x3 __asm__("x3") = fourth;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

/* A row whose figure is no series. */
__attribute__((unused))
static void figure(const char *key, uint64_t cost)
{
	printf("bench: %s %llu\n", key, (unsigned long long)cost);
}

/* A row that is the difference of two series, divided by `parts`. */
static void row(const char *key, struct series with, struct series without, unsigned parts)
{
	printf("bench: %s %llu\n", key, (unsigned long long)(with.median - without.median) / parts);
	printf("series: %s %llu %llu %llu %llu %u\n", key, (unsigned long long)with.number, (unsigned long long)with.median,
	       (unsigned long long)without.number, (unsigned long long)without.median, parts);
}

#endif
