// Errors as values, from the disk to the program that embeds the store: the library's own Status
// and Result (include/fluxkv/result.h). What can be an error is never an ASSERT, and the other way
// round. Threads: values, no sharing.
#pragma once

#include "base/check.h"
#include "fluxkv/result.h"
