/* config_file.c - a line at a time, cut in place. */
#include "core/app/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS    " \t\r\n"
#define FILE_NAME "jobq.conf"

static int read_line(char *text, const char *where, config_line_fn line, void *arg);
static char *trim(char *text);
static char *cut_value(char *text);

int config_file_read(const char *path, config_line_fn line, void *arg, struct buffer *error)
{
    FILE *file = fopen(path, "re");
    struct buffer where = {0};
    char *text = NULL;
    size_t capacity = 0;
    int number = 0;
    int r = 0;

    if (file == NULL) {
        return -errno;
    }
    errno = 0;
    while (r == 0 && getline(&text, &capacity, file) >= 0) {
        buffer_clear(&where);
        buffer_printf(&where, "%s:%d", path, ++number);
        r = read_line(text, buffer_text(&where), line, arg);
    }
    if (r == -EBADMSG) {
        buffer_printf(error, "%s: expected NAME = VALUE", buffer_text(&where));
        r = -EINVAL;
    } else if (r == 0 && ferror(file)) {
        r = errno == 0 ? -EIO : -errno;
    }
    free(text);
    buffer_fini(&where);
    (void)fclose(file);
    return r;
}

/* ~/.config, or what stands for it (XDG Base Directory Specification). */
static void add_home_place(struct buffer *path)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (config != NULL && *config == '/') {
        buffer_printf(path, "%s/jobq/" FILE_NAME, config);
    } else if (home != NULL && *home != 0) {
        buffer_printf(path, "%s/.config/jobq/" FILE_NAME, home);
    }
}

bool config_file_place(unsigned place, struct buffer *path)
{
    switch (place) {
    case CONFIG_FILE_ETC: buffer_add_text(path, "/etc/jobq/" FILE_NAME); return true;
    case CONFIG_FILE_HOME: add_home_place(path); return true;
    case CONFIG_FILE_HERE: buffer_add_text(path, FILE_NAME); return true;
    default: return false;
    }
}

static int read_line(char *text, const char *where, config_line_fn line, void *arg)
{
    text = trim(text);
    if (*text == 0 || *text == '#') {
        return 0;
    }
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return -EBADMSG;
    }
    *equals = 0;
    char *value = cut_value(equals + 1);
    return value == NULL ? -EBADMSG : line(arg, where, trim(text), value);
}

static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    size_t size = strlen(text);
    while (size > 0 && strchr(BLANKS, text[size - 1]) != NULL) {
        size--;
    }
    text[size] = 0;
    return text;
}

static bool is_comment(const char *text)
{
    return *text == 0 || *text == '#';
}

/* NULL if a quote is not closed, or something other than a comment follows it. */
static char *cut_value(char *text)
{
    text = trim(text);
    if (*text == '"') {
        char *close = strchr(text + 1, '"');
        if (close == NULL || !is_comment(close + 1 + strspn(close + 1, BLANKS))) {
            return NULL;
        }
        *close = 0;
        return text + 1;
    }
    for (char *at = text; *at != 0; at++) {
        if (*at == '#' && (at == text || strchr(BLANKS, at[-1]) != NULL)) {
            *at = 0;
        }
    }
    return trim(text);
}
