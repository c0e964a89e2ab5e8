// What all tests of the library include: the public headers alone, doctest, and short ways to say
// what is expected. They see no more of the store than a program that links it.
// Threads: one, but for the database.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "fluxkv/fluxkv.h"
#include "tests/config/temp_dir.h"
#include "tests/slower.h"

namespace fluxkv {

using config::TempDir;

inline Database OpenOrFail(const Options& options = {}) {
  Result<Database> opened = Database::Open(options);
  if (!opened.ok()) FAIL(opened.message());
  return std::move(*opened);
}

// Of a database, a handle or a transaction; "(none)" if there is no value.
template <class Store>
std::string ValueOf(Store& store, std::string_view key) {
  Result<std::optional<std::string>> value = store.Get(key);
  REQUIRE(value.ok());
  return value->value_or("(none)");
}

// kOther stands for a good one: the library answers no error of that kind.
template <class T>
ErrorKind KindOf(const T& status_or_result) {
  return status_or_result.ok() ? ErrorKind::kOther : status_or_result.kind();
}

inline std::string Joined(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& e : entries) text += e.key + "=" + e.value + " ";
  return text;
}

template <class Store>
std::string ListOf(Store& store, const Range& range = {}) {
  Result<std::vector<Entry>> list = store.List(range);
  REQUIRE(list.ok());
  return Joined(*list);
}

}  // namespace fluxkv
