/* admin_host.c - isatty, TIOCGWINSZ, wcwidth, readdir. */
#include "bindings/admin_host.h"

#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <lauxlib.h>

/* fd -> boolean */
static int host_is_tty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)) == 1);
    return 1;
}

/* -> columns, or nil */
static int host_columns(lua_State *L)
{
    struct winsize size = {0};

    if (isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
        size.ws_col > 0) {
        lua_pushinteger(L, size.ws_col);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* code point -> columns: 0 for what combines, 2 for what is wide */
static int host_width(lua_State *L)
{
    int width = wcwidth((wchar_t)luaL_checkinteger(L, 1));

    lua_pushinteger(L, width < 0 ? 1 : width);
    return 1;
}

/* folder -> names, in no order */
static int host_list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL) {
        lua_pushnil(L);
        lua_pushfstring(L, "cannot read folder '%s': %s", path, strerror(errno));
        return 2;
    }
    lua_newtable(L);
    for (int i = 1; (entry = readdir(dir)) != NULL; i++) {
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, i);
    }
    closedir(dir);
    return 1;
}

static const luaL_Reg functions[] = {
    {"is_tty", host_is_tty},
    {"columns", host_columns},
    {"width", host_width},
    {"list", host_list},
    {NULL, NULL},
};

int luaopen_jobq_host(lua_State *L)
{
    (void)setlocale(LC_CTYPE,
                    "C.UTF-8"); /* for wcwidth: text is UTF-8 whatever the user's locale */
    luaL_newlib(L, functions);
    lua_pushliteral(L, JOBQ_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}
