/* version.c - texts that CMake has found out. */
#include "core/base/version.h"

#include "built.h"

const struct version_library version_libraries[] = {JOBQ_LIBRARIES, {NULL, NULL}};

const char *version_commit(void)
{
    static const char commit[] = JOBQ_COMMIT;

    return commit[0] == 0 ? NULL : commit;
}

void version_add(struct buffer *out, const char *program)
{
    const char *commit = version_commit();
    const char *before = "built with";

    buffer_printf(out, "%s " JOBQ_VERSION, program);
    if (commit != NULL) {
        buffer_printf(out, " (%s)", commit);
    }
    buffer_add_char(out, '\n');
    for (const struct version_library *l = version_libraries; l->name != NULL; l++) {
        buffer_printf(out, "%s %s %s", before, l->name, l->version);
        before = ",";
    }
    buffer_add_char(out, '\n');
}
