/*
 * memory.h - the allocator of a Lua state: every block knows which run asked for it.
 *
 * A run has an account with a limit. What it allocates while it computes is charged to it until it
 * is freed, whoever frees it. What belongs to nobody (account 0) and is shared, say the table of a
 * module, is never charged, but a run that makes it grow may not do so by more than it has left.
 * Open files are counted in the same way: what a run leaves behind waits for the collector.
 */
#ifndef BINDINGS_MEMORY_H
#define BINDINGS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define MEMORY_NOBODY 0u

struct account {
    int64_t bytes;
    int64_t limit;
    uint32_t files;  /* open ones */
    uint32_t serial; /* goes up when the account changes hands: old blocks are nobody's then */
};

struct memory {
    int64_t bytes;      /* of all blocks together */
    int64_t left_bytes; /* of closed accounts: garbage, or what a module keeps */
    int64_t left_files;
    uint32_t payer;                    /* account that is charged right now */
    uint32_t count;                    /* accounts */
    struct account *accounts;          /* owned */
    void (*refused)(struct memory *m); /* the payer has reached its limit; may not allocate */
};

void memory_init(struct memory *m, void (*refused)(struct memory *m));
void memory_fini(struct memory *m);

/* Makes the account usable under limit; accounts are small integers that the caller manages. */
void memory_open_account(struct memory *m, uint32_t account, int64_t limit);
void memory_close_account(struct memory *m, uint32_t account);

/* Changes a limit; that of MEMORY_NOBODY is INT64_MAX unless somebody asks for less. */
void memory_set_limit(struct memory *m, uint32_t account, int64_t limit);

/* Who opened a file. */
struct file_owner {
    uint32_t account;
    uint32_t serial;
};

/* Counts a file of the payer, and takes it off again, whoever pays by then. */
struct file_owner memory_add_file(struct memory *m);
void memory_remove_file(struct memory *m, struct file_owner owner);

/* The lua_Alloc; ud is the struct memory. */
void *memory_allocate(void *ud, void *block, size_t old_size, size_t new_size);

#endif
