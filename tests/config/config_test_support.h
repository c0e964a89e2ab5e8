// What all tests of the configuration include: Config, and doctest.
// Both base/check.h and doctest define CHECK; in tests it is doctest's.
// Threads: one.
#pragma once

#include "base/check.h"
#include "config/config.h"

#undef CHECK
#include <doctest/doctest.h>
