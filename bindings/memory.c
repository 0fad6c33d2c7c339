/* memory.c - eight bytes in front of each block name its owner. */
#include "bindings/memory.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/mem.h"

struct header {
    uint32_t account;
    uint32_t serial;
};

static bool is_too_much(const struct memory *m, size_t more);
static void charge(struct memory *m, const struct header *h, int64_t bytes);

void memory_init(struct memory *m, void (*refused)(struct memory *m))
{
    *m = (struct memory){.refused = refused};
    memory_open_account(m, MEMORY_NOBODY, INT64_MAX);
}

void memory_fini(struct memory *m)
{
    free(m->accounts);
    *m = (struct memory){0};
}

void memory_open_account(struct memory *m, uint32_t account, int64_t limit)
{
    if (account >= m->count) {
        uint32_t count = account < 8 ? 16 : account * 2;
        m->accounts = mem_resize(m->accounts, count, sizeof(*m->accounts));
        memset(m->accounts + m->count, 0, (count - m->count) * sizeof(*m->accounts));
        m->count = count;
    }
    m->accounts[account].bytes = 0;
    m->accounts[account].files = 0;
    m->accounts[account].limit = limit;
}

void memory_close_account(struct memory *m, uint32_t account)
{
    m->left_bytes += m->accounts[account].bytes;
    m->left_files += m->accounts[account].files;
    m->accounts[account].serial++;
}

void memory_set_limit(struct memory *m, uint32_t account, int64_t limit)
{
    m->accounts[account].limit = limit;
}

struct file_owner memory_add_file(struct memory *m)
{
    struct account *a = &m->accounts[m->payer];

    a->files++;
    return (struct file_owner){m->payer, a->serial};
}

void memory_remove_file(struct memory *m, struct file_owner owner)
{
    struct account *a = &m->accounts[owner.account];

    if (a->serial == owner.serial) {
        a->files--;
    } else {
        m->left_files--;
    }
}

void *memory_allocate(void *ud, void *block, size_t old_size, size_t new_size)
{
    struct memory *m = ud;
    struct header *h = block == NULL ? NULL : (struct header *)block - 1;
    size_t held = block == NULL ? 0 : old_size; /* else Lua tells a type in old_size */

    if (new_size == 0) {
        if (h != NULL) {
            charge(m, h, -(int64_t)held);
            free(h);
        }
        return NULL;
    }
    if (new_size > held && is_too_much(m, new_size - held)) {
        m->refused(m);
        return NULL; /* Lua collects garbage and asks once more before it raises */
    }
    struct header *moved = realloc(h, sizeof(*h) + new_size);
    if (moved == NULL) {
        return NULL;
    }
    if (h == NULL) {
        *moved = (struct header){m->payer, m->accounts[m->payer].serial};
    }
    charge(m, moved, (int64_t)new_size - (int64_t)held);
    return moved + 1;
}

static bool is_too_much(const struct memory *m, size_t more)
{
    const struct account *a = &m->accounts[m->payer];

    return (int64_t)more > a->limit - a->bytes;
}

static void charge(struct memory *m, const struct header *h, int64_t bytes)
{
    struct account *a = &m->accounts[h->account];

    m->bytes += bytes;
    if (a->serial == h->serial) {
        a->bytes += bytes;
    } else {
        m->left_bytes += bytes;
    }
}
