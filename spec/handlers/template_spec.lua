package.path = "handlers/?.lua;" .. package.path
local jobq = require "jobq"
local template = require "lib.template"

--- Texts by name; the one called main is rendered.
local function render(texts, values, escape)
  texts = type(texts) == "table" and texts or { main = texts }
  local function load(name)
    if not texts[name] then
      return nil, ("there is no %s"):format(name)
    end
    return template.parse(name .. ".html", texts[name])
  end
  local tree, why, code = load "main"
  if not tree then
    return nil, why, code
  end
  return template.render(tree, values or {}, { escape = escape, load = load })
end

local function refused(message, ...)
  local text, why, code = render(...)
  assert.is_nil(text)
  assert.same({ "main.html:" .. message, "bad_template" }, { why, code })
end

describe("a template", function()
  it("has places for values", function()
    local values = {
      name = "Zoë", n = 3, x = 2.5, f = 4.0, yes = true, user = { a = { b = "deep" } },
    }
    assert.equal("Zoë 3 2.5 4 true deep .",
      render("{{name}} {{ n }} {{x}} {{f}} {{yes}} {{user.a.b}} {{no?}}{{user.no?}}.", values))
    assert.equal("{ } no tag", render "{ } no tag")
    assert.equal("", render "")
  end)

  it("escapes values unless it says otherwise", function()
    local values = { a = [[<b> & "q" 'r']] }
    assert.equal("&lt;b&gt; &amp; &quot;q&quot; &#39;r&#39; <b> & \"q\" 'r'",
      render("{{a}} {{{a}}}", values, template.escape_html))
    assert.equal(values.a, render("{{a}}", values))
  end)

  it("takes no tag from a value", function()
    assert.equal("{{b}} {{/if}}", render("{{a}}", { a = "{{b}} {{/if}}", b = "no" }))
  end)

  it("leaves out what is not there", function()
    for _, value in ipairs { false, "", 0, {}, jobq.json.null } do
      assert.equal("no", render("{{#if a}}yes{{else}}no{{/if}}", { a = value }))
    end
    assert.equal("no", render("{{#if a.b}}yes{{else}}no{{/if}}"))
    assert.equal("yes", render("{{#if a}}yes{{/if}}", { a = "0" }))
  end)

  it("repeats, with the fields of each and those around", function()
    local values = { word = "!", list = { { n = 1 }, { n = 2, word = "?" } }, names = { "a", "b" } }
    assert.equal("1! 2? ", render("{{#each list}}{{n}}{{word}} {{/each}}", values))
    assert.equal("<a><b>", render("{{#each names}}<{{.}}>{{/each}}", values))
    assert.equal("none", render("{{#each no}}x{{else}}none{{/each}}", values))
    assert.equal("1a 1b 2a 2b ",
      render("{{#each list}}{{#each names}}{{n}}{{.}} {{/each}}{{/each}}", values))
  end)

  it("has its tags on lines of their own", function()
    assert.equal("a\n1\n2\nb\n",
      render("a\n  {{#each l}}\r\n{{.}}\n  {{/each}}  \n{{! note }}\nb\n", { l = { 1, 2 } }))
    assert.equal("a  b\n", render("a {{#if x}}{{else}}{{/if}} b\n"))
    assert.equal("end", render("end{{#if x}}\n{{/if}}"))
  end)

  it("is in a layout, and has others in it", function()
    local texts = {
      main = "{{< layout}}\n<p>{{a}}</p>\n{{> part}}\n", part = "part {{a}}\n",
      layout = "<html>\n{{{content}}}{{a}}\n</html>\n",
    }
    assert.equal("<html>\n<p>&lt;</p>\npart &lt;\n&lt;\n</html>\n",
      render(texts, { a = "<" }, template.escape_html))
  end)

  it("says what is wrong, and where", function()
    refused("2: 'nam' is not there\nhint: values that are: name; or write {{nam?}}",
      "a\n{{nam}}", { name = "x" })
    refused("1: 'user' is no text, but several values", "{{user}}", { user = {} })
    refused("1: 'a' is not an array", "{{#each a}}{{/each}}", { a = "x" })
    refused("1: 'a' is not an array", "{{#each a}}{{/each}}", { a = { b = 1 } })
    refused("2: a tag that begins with {{ has no end", "\n{{name")
    refused("1: 'a b' is not the name of a value", "{{a b}}")
    for _, name in ipairs { "a..b", ".a", "a.", "", "a-b", "os.exit()" } do
      refused(("1: '%s' is not the name of a value"):format(name), "{{" .. name .. "}}")
    end
    refused("3: '{{#if a}}' has no '{{/if}}'", "\n\n{{#if a}}")
    refused("1: '{{/each}}' closes nothing, expected '{{/if}}' of line 1", "{{#if a}}{{/each}}")
    refused("1: '{{/if}}' closes nothing, expected none", "{{/if}}")
    refused("1: '{{else}}' is not within '{{#if}}' or '{{#each}}'", "{{else}}")
    refused("1: '{{else}}' is not within '{{#if}}' or '{{#each}}'",
      "{{#if a}}{{else}}{{else}}{{/if}}")
    refused("1: '{{#unless a}}' is neither '{{#if name}}' nor '{{#each name}}'", "{{#unless a}}")
    refused("1: '{{< b}}' is not at the beginning", "a{{< b}}")
    refused("1: there is no b", "{{> b}}")
  end)

  it("names the file that is wrong when it is another", function()
    local _, why = render({ main = "{{> b}}", b = "\n{{x}}" })
    assert.matches("^b.html:2: 'x' is not there", why)
  end)

  it("does not go round in circles", function()
    local _, why = render({ main = "{{> main}}" })
    assert.equal("main.html:1: 'main' is in itself, or more than 20 deep", why)
    _, why = render({ main = "{{< main}}" })
    assert.equal("main.html:1: 'main' is in itself, or more than 20 deep", why)
  end)
end)
