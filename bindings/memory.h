/*
 * memory.h - the allocator of a Lua state: every block knows which run asked for it.
 *
 * A run has an account with a limit. What it allocates while it computes is charged to it until it
 * is freed, whoever frees it. What belongs to nobody (account 0) and is shared, say the table of a
 * module, is never charged, but a run that makes it grow may not do so by more than it has left.
 */
#ifndef BINDINGS_MEMORY_H
#define BINDINGS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define MEMORY_NOBODY 0u

struct account {
    int64_t bytes;
    int64_t limit;
    uint32_t serial; /* goes up when the account changes hands: old blocks are nobody's then */
};

struct memory {
    int64_t bytes;  /* of all blocks together */
    uint32_t payer; /* account that is charged right now; MEMORY_NOBODY is never refused */
    uint32_t count; /* accounts */
    struct account *accounts;          /* owned */
    void (*refused)(struct memory *m); /* the payer has reached its limit; may not allocate */
};

void memory_init(struct memory *m, void (*refused)(struct memory *m));
void memory_fini(struct memory *m);

/* Makes the account usable under limit; accounts are small integers that the caller manages. */
void memory_open_account(struct memory *m, uint32_t account, int64_t limit);
void memory_close_account(struct memory *m, uint32_t account);

/* The lua_Alloc; ud is the struct memory. */
void *memory_allocate(void *ud, void *block, size_t old_size, size_t new_size);

#endif
