/* clock.h - the one clock. Local time measures intervals only; points in time are the database's. */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic, milliseconds and microseconds since an arbitrary start; the same in all processes. */
uint64_t clock_now_ms(void);
uint64_t clock_now_us(void);

#endif
