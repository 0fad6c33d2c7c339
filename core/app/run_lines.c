/* run_lines.c - a frame to a line. */
#include "core/app/run_lines.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/job/wire.h"

void run_lines_tell(struct frame *f)
{
    struct wire_log m;

    if (wire_get_log(f, &m) != 0) {
        return;
    }
    char *message = mem_copy(m.message.data, m.message.size);
    if (m.fields.size > 0) {
        LOG_WRITE((enum log_level)m.level, message, LOG_SLICE("fields", m.fields));
    } else {
        LOG_WRITE((enum log_level)m.level, message);
    }
    free(message);
}
