// All of the library: database.h is where to begin.
#pragma once

#include "fluxkv/codec.h"     // IWYU pragma: export
#include "fluxkv/database.h"  // IWYU pragma: export
#include "fluxkv/typed.h"     // IWYU pragma: export
