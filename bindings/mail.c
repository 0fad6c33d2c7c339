/* mail.c - cleans the text, picks the encoding, hands it to mail_text.c. */
#include "bindings/mail.h"

#include <lauxlib.h>

#include "core/base/buffer.h"
#include "core/base/text.h"

#include "bindings/mail_text.h"
#include "bindings/vm.h"

/* A mail above this is refused nearly everywhere; it also bounds what is cut below. */
#define TEXT_MAX ((size_t)64 * 1024 * 1024)

/* The first argument, and the VM's scratch, empty; it is freed if Lua raises. */
static struct buffer *check_bytes(lua_State *L, struct slice *bytes)
{
    struct buffer *scratch = &vm_of(L)->scratch;

    bytes->data = luaL_checklstring(L, 1, &bytes->size);
    luaL_argcheck(L, bytes->size <= TEXT_MAX, 1, "longer than 64 MiB");
    buffer_clear(scratch);
    return scratch;
}

/* The same with the argument in it as valid UTF-8. */
static struct buffer *check_text(lua_State *L, struct slice *text)
{
    struct buffer *scratch = check_bytes(L, text);

    text_add_clean(scratch, *text, TEXT_MAX);
    return scratch;
}

/* Behind the cleaned text comes the encoded one. */
static void push_encoded(lua_State *L, struct buffer *scratch, size_t clean_size)
{
    lua_pushlstring(L, scratch->data + clean_size, scratch->size - clean_size);
    buffer_fini(scratch); /* a large mail is rare, and the scratch is everybody's */
}

int bind_mail_encode_header(lua_State *L)
{
    struct slice text;
    struct buffer *scratch = check_text(L, &text);

    if (mail_is_plain_header(buffer_slice(scratch))) {
        lua_settop(L, 1);
        return 1;
    }
    size_t size = scratch->size;
    mail_add_words(scratch, size);
    push_encoded(L, scratch, size);
    return 1;
}

int bind_mail_encode_body(lua_State *L)
{
    struct slice text;
    bool may_be_plain = lua_toboolean(L, 2);
    struct buffer *scratch = check_text(L, &text);
    size_t size = scratch->size;
    enum mail_encoding encoding = mail_encoding_for(buffer_slice(scratch), may_be_plain);

    mail_add_body(scratch, size, encoding);
    push_encoded(L, scratch, size);
    lua_pushstring(L, mail_encoding_name(encoding));
    return 2;
}

int bind_mail_encode_bytes(lua_State *L)
{
    struct slice bytes;
    struct buffer *scratch = check_bytes(L, &bytes);

    buffer_add_slice(scratch, bytes);
    mail_add_body(scratch, bytes.size, MAIL_BASE64);
    push_encoded(L, scratch, bytes.size);
    return 1;
}
