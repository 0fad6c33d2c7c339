--- Busted in a plain lua5.4 that has our modules: what `jobq test` starts. Its words are busted's.
require "jobq.core"
require "jobq.testing"
require "busted.runner" { standalone = false }
