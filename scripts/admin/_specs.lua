--- Busted in a plain lua5.4 that has our modules: what `jobq test` starts. Its words are busted's.
require "jobq.core" -- jobq.testing is found from here on; it wants busted to be there first
require "busted.runner" { standalone = false }
