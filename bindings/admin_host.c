/* admin_host.c - isatty, TIOCGWINSZ, wcwidth, readdir, nanosleep, SIGINT, statvfs. */
#include "bindings/admin_host.h"

#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include <lauxlib.h>

#include "core/base/version.h"

#include "bindings/admin_ask.h"

/* A signal handler has nothing else to write to. */
static volatile sig_atomic_t was_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    was_interrupted = 1;
}

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

/* seconds; a signal ends it early */
static int host_sleep(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    struct timespec t = {(time_t)seconds, (long)((seconds - (lua_Number)(time_t)seconds) * 1e9)};

    (void)nanosleep(&t, NULL);
    return 0;
}

/* -> seconds since 1970, with fractions */
static int host_time(lua_State *L)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
    return 1;
}

/* The first Ctrl-C is for interrupted(), the second ends the program as ever. */
static int host_catch_interrupt(lua_State *L)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART | SA_RESETHAND};

    (void)L;
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    return 0;
}

static int host_interrupted(lua_State *L)
{
    lua_pushboolean(L, was_interrupted != 0);
    return 1;
}

/* path -> bytes that are free there for anybody, bytes in all | nil, message */
static int host_disk(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct statvfs v;

    if (statvfs(path, &v) != 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "cannot look at '%s': %s", path, strerror(errno));
        return 2;
    }
    lua_pushinteger(L, (lua_Integer)v.f_bavail * (lua_Integer)v.f_frsize);
    lua_pushinteger(L, (lua_Integer)v.f_blocks * (lua_Integer)v.f_frsize);
    return 2;
}

/* -> the name of this machine */
static int host_name(lua_State *L)
{
    char name[256] = "?";

    gethostname(name, sizeof(name) - 1);
    lua_pushstring(L, name);
    return 1;
}

/* -> { NAME = value }: the whole environment */
static int host_environment(lua_State *L)
{
    lua_newtable(L);
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        size_t size = strcspn(*variable, "=");
        if ((*variable)[size] == '=') {
            lua_pushlstring(L, *variable, size);
            lua_pushstring(L, *variable + size + 1);
            lua_rawset(L, -3);
        }
    }
    return 1;
}

static const luaL_Reg functions[] = {
    {"is_tty", host_is_tty},
    {"columns", host_columns},
    {"width", host_width},
    {"list", host_list},
    {"sleep", host_sleep},
    {"time", host_time},
    {"catch_interrupt", host_catch_interrupt},
    {"interrupted", host_interrupted},
    {"disk", host_disk},
    {"environment", host_environment},
    {"ask", host_ask},
    {"name", host_name},
    {NULL, NULL},
};

/* Into the module on top. */
static void add_versions(lua_State *L)
{
    struct buffer about = {0};

    lua_pushliteral(L, JOBQ_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, version_commit());
    lua_setfield(L, -2, "commit");
    lua_newtable(L);
    for (int i = 0; version_libraries[i].name != NULL; i++) {
        lua_createtable(L, 2, 0);
        lua_pushstring(L, version_libraries[i].name);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, version_libraries[i].version);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "libraries");
    version_add(&about, "jobq");
    lua_pushstring(L, buffer_text(&about));
    lua_setfield(L, -2, "about");
    buffer_fini(&about);
}

int luaopen_jobq_host(lua_State *L)
{
    (void)setlocale(LC_CTYPE,
                    "C.UTF-8"); /* for wcwidth: text is UTF-8 whatever the user's locale */
    luaL_newlib(L, functions);
    add_versions(L);
    return 1;
}
