--- jobq.json: exact, strict, and of one mind with lua-cjson wherever both can say it.
local core = require "jobq.core"
local cjson = require "cjson"

local json = core.json
local decode, encode = json.decode, json.encode

local DEPTH = 200
local SEED = tonumber(os.getenv "JOBQ_SPEC_SEED") or os.time()

local function nested(depth)
  return ("["):rep(depth) .. ("]"):rep(depth)
end

local function same(text, back)
  it(("%s comes back as %s"):format(text, back), function()
    assert.equal(back, encode(decode(text)))
  end)
end

describe("numbers", function()
  same("1", "1")
  same("-0", "0")
  same("1.0", "1.0")
  same("-0.0", "-0.0")
  same("9223372036854775807", "9223372036854775807")
  same("-9223372036854775808", "-9223372036854775808")
  same("9223372036854775808", "9.223372036854776e+18")
  same("-9223372036854775809", "-9.223372036854776e+18")
  same("9007199254740993", "9007199254740993")
  same("0.1", "0.1")
  same("1e5", "100000.0")
  same("1E+2", "100.0")
  same("5e-324", "4.94065645841247e-324")
  same("1.7976931348623157e308", "1.7976931348623157e+308")
  same("3.141592653589793", "3.141592653589793")
  same("0.30000000000000004", "0.30000000000000004")
  same("123456789012345.6", "123456789012345.6")

  it("stay integers or floats", function()
    assert.equal("integer", math.type(decode("42")))
    assert.equal("float", math.type(decode("42.0")))
    assert.equal("float", math.type(decode("9223372036854775808")))
  end)

  it("of any length are read to the nearest double", function()
    assert.equal(0.1, decode("0.1" .. ("0"):rep(5000)))
    assert.equal(1e300, decode("1" .. ("0"):rep(300)))
  end)

  it("that no double can hold are refused", function()
    local value, message, code = decode("[1, 1e999]")
    assert.is_nil(value)
    assert.equal(
      "expected a number within the range of a double at line 1, column 5, got '1'", message)
    assert.equal("json_invalid", code)
    assert.has_error(function() encode(0 / 0) end, "nan and infinity have no JSON")
    local hidden = { x = { 1 / 0 } }
    assert.has_error(function() encode(hidden) end, "x[1]: nan and infinity have no JSON")
  end)

  it("survive a round trip, whatever they are", function()
    math.randomseed(SEED)
    for _ = 1, 20000 do
      local bits = math.random(0)
      local number = string.unpack("d", string.pack("i8", bits))
      assert.equal(bits, decode(encode(bits)))
      if number == number and math.abs(number) < math.huge then
        assert.equal(number, decode(encode(number)), "seed " .. SEED)
      end
    end
  end)
end)

describe("strings", function()
  same([["\u00e9\u20ac\ud83d\ude00"]], '"é€😀"')
  same([["\"\\\/\b\f\n\r\t"]], [["\"\\/\b\f\n\r\t"]])
  same([["\u0000\u001f\u007f"]], '"\\u0000\\u001f\127"')
  same('""', '""')

  it("that are not UTF-8 are refused", function()
    local bad = {
      "\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
      "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98",
    }
    for _, bytes in ipairs(bad) do
      local _, message = decode('"' .. bytes .. '"')
      assert.matches("^expected UTF%-8 at line 1, column 2", message)
    end
  end)

  it("with half a surrogate pair are refused", function()
    for _, text in ipairs { [["\ud800"]], [["\udc00"]], [["\ud800\u0041"]], [["\ud800x"]] } do
      assert.is_nil(decode(text), text)
    end
  end)

  it("are cleaned when written", function()
    assert.equal('"a\u{fffd}b\\u0000c"', encode("a\xffb\0c"))
    assert.equal('"\u{fffd}\u{fffd}\u{fffd}"', encode("\xed\xa0\x80"))
  end)
end)

describe("arrays and objects", function()
  same("[]", "[]")
  same("{}", "{}")
  same('{"a":[],"b":{}}', '{"a":[],"b":{}}')
  same("[null,[null],{\"a\":null}]", "[null,[null],{\"a\":null}]")
  same('{"b":1,"a":2,"b":3}', '{"a":2,"b":3}')
  same(' \t\r\n[ 1 , { "a" : true } , false ] ', '[1,{"a":true},false]')

  it("decoded arrays carry the mark", function()
    assert.equal("jobq.array", getmetatable(decode("[]")))
    assert.is_nil(getmetatable(decode("{}")))
    assert.equal("[]", encode(json.array {}))
    assert.equal("[]", encode(json.array()))
    assert.equal("{}", encode({}))
  end)

  it("null is jobq.null", function()
    assert.equal(json.null, decode("null"))
    assert.equal("[null]", encode({ json.null }))
    assert.equal("null", encode(nil))
  end)

  it("many keys are sorted too", function()
    local t, expected = {}, {}
    for i = 100, 999 do
      t["k" .. i] = i
      expected[#expected + 1] = ('"k%d":%d'):format(i, i)
    end
    assert.equal("{" .. table.concat(expected, ",") .. "}", encode(t))
  end)

  it("large ones pass", function()
    local list = {}
    for i = 1, 100000 do
      list[i] = i
    end
    local back = decode(encode(list))
    assert.equal(100000, #back)
    assert.equal(100000, back[100000])
  end)

  it("nest 200 deep, and no deeper", function()
    assert.equal(nested(DEPTH), encode(decode(nested(DEPTH))))
    local _, message = decode(nested(DEPTH + 1))
    assert.equal("expected at most 200 levels at line 1, column 201, got '['", message)
    local cycle = {}
    cycle.again = cycle
    assert.has_error(
      function() encode(cycle) end, "more than 200 levels, or a table that contains itself")
  end)

  it("what has no JSON is named with its place", function()
    local function refuses(value, message)
      assert.has_error(function() encode(value) end, message)
    end
    refuses(print, "a function has no JSON")
    refuses({ to = { "a", print } }, "to[2]: a function has no JSON")
    refuses({ a = { b = { io.stdout } } }, "a.b[1]: a userdata or coroutine has no JSON")
    refuses({ 1, 2, x = 3 }, "a table with keys other than strings has no JSON")
    refuses({ [1.5] = 1 }, "a table with keys other than strings has no JSON")
    refuses(
      { 1, nil, 3 }, "an array with holes has no JSON\nhint: put jobq.null where nothing is")
    refuses(
      json.array { x = 1 }, "an array with other keys than 1, 2, 3 has no JSON")
  end)

  it("metamethods do not run", function()
    local t = setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error })
    assert.equal('{"a":1}', encode(t))
  end)
end)

describe("what is not JSON", function()
  local function refuses(text, message)
    it(("'%s'"):format(text), function()
      local value, why, code = decode(text)
      assert.is_nil(value)
      assert.equal(message, why)
      assert.equal("json_invalid", code)
    end)
  end
  refuses("", "expected a value at line 1, column 1, got the end")
  refuses("  ", "expected a value at line 1, column 3, got the end")
  refuses("nul", "expected a value at line 1, column 1, got 'n'")
  refuses("[1,]", "expected a value at line 1, column 4, got ']'")
  refuses("[1 2]", "expected ',' or ']' at line 1, column 4, got '2'")
  refuses('{"a":1,}', "expected a name in double quotes at line 1, column 8, got '}'")
  refuses('{"a" 1}', "expected ':' at line 1, column 6, got '1'")
  refuses("{a:1}", "expected a name in double quotes at line 1, column 2, got 'a'")
  refuses('"\n"', "expected control characters to be escaped at line 1, column 2, got byte 0x0a")
  refuses('"a', "expected a closing '\"' at line 1, column 3, got the end")
  refuses(
    [["\q"]],
    "expected one of \" \\ / b f n r t u after a backslash at line 1, column 3, got 'q'")
  refuses([["\u12"]], "expected four hexadecimal digits after \\u at line 1, column 3, got 'u'")
  refuses("01", "expected no digit after a leading 0 at line 1, column 2, got '1'")
  refuses("-", "expected a digit at line 1, column 2, got the end")
  refuses("1.", "expected a digit at line 1, column 3, got the end")
  refuses("1e", "expected a digit at line 1, column 3, got the end")
  refuses("+1", "expected a value at line 1, column 1, got '+'")
  refuses("NaN", "expected a value at line 1, column 1, got 'N'")
  refuses("1 2", "expected the end of the document at line 1, column 3, got '2'")
  refuses("[1],\n[2]", "expected the end of the document at line 1, column 4, got ','")
  refuses('{\n  "a": 1\n  "b": 2\n}', "expected ',' or '}' at line 3, column 3, got '\"'")
  refuses("[1]\0", "expected the end of the document at line 1, column 4, got byte 0x00")
end)

describe("beside lua-cjson", function()
  local SEEDS = {
    '{"to":["ann@example.org"],"subject":"hi","n":12,"x":-1.5e3,"t":true,"f":false,"z":null}',
    '[[],{},[{}],{"a":[1,2,3]},"\\u00e9\\n\\\\",0.25,-7]',
    '{"a":{"b":{"c":{"d":[1,[2,[3,[4]]]]}}},"text":"caf\195\169 \226\130\172"}',
    ' { "k" : [ 1 , 2 ] , "s" : "" } ',
  }
  local BYTES = '{}[]",:\\0123456789-+.eEtrufalsn \n\tx\195\169\0\255'

  local function mutate(text)
    for _ = 1, math.random(1, 4) do
      local at = math.random(0, #text)
      local pick = math.random(#BYTES)
      local byte = BYTES:sub(pick, pick)
      local how = math.random(4)
      if how == 1 then
        text = text:sub(1, at) .. byte .. text:sub(at + 1)
      elseif how == 2 then
        text = text:sub(1, at) .. text:sub(at + 2)
      elseif how == 3 then
        text = text:sub(1, at) .. byte .. text:sub(at + 2)
      else
        text = text:sub(1, at) .. text:sub(math.random(0, #text) + 1)
      end
    end
    return text
  end

  -- cjson has no integers and no array mark; null is its own.
  local function equal_values(ours, theirs)
    if ours == json.null then
      return theirs == cjson.null
    elseif type(ours) == "number" and type(theirs) == "number" then
      return ours == theirs or math.abs(ours - theirs) <= math.abs(theirs) * 1e-15
    end
    return ours == theirs
  end

  local function equal(ours, theirs)
    if type(ours) ~= "table" or type(theirs) ~= "table" then
      return equal_values(ours, theirs)
    end
    for key, value in pairs(ours) do
      if not equal(value, theirs[key]) then
        return false
      end
    end
    for key in pairs(theirs) do
      if ours[key] == nil then
        return false
      end
    end
    return true
  end

  -- What cjson takes although RFC 8259 does not, and what we refuse beyond it.
  local function cjson_is_lax(text, message)
    local lower = text:lower()
    return lower:find("0x") or lower:find("nan") or lower:find("inf")
      or message:find("leading 0") or message:find("expected a digit") or message:find("UTF%-8")
      or message:find("control characters") or message:find("double")
      or message:find("got '[+.]'") or text:find("%z")
  end

  it("agrees about mutated documents", function()
    math.randomseed(SEED)
    for _ = 1, 60000 do
      local text = mutate(SEEDS[math.random(#SEEDS)])
      local ours, message = decode(text)
      local ok, theirs = pcall(cjson.decode, text)
      local place = ("seed %d: %q"):format(SEED, text)
      if message then
        assert(not ok or cjson_is_lax(text, message), place .. " is refused: " .. message)
      else
        assert(ok and equal(ours, theirs), place .. " is read differently")
        assert(equal(decode(encode(ours)), theirs), place .. " does not come back")
      end
    end
  end)
end)
