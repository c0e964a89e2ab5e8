// What all tests of the configuration include: Config and doctest; and loading without ceremony.
//
//   Loaded loaded = Load({path, "--port", "7000"});
//   REQUIRE(loaded.error == "");
//   loaded.config->Text("port");
//
// Threads: one.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "config/config.h"

namespace fluxkv::config {

struct Loaded {
  std::unique_ptr<Config> config;
  std::string error;
  std::vector<std::string> notes;
};

inline Loaded Load(const std::vector<std::string>& arguments) {
  Loaded loaded;
  auto config = Config::Load(arguments, &loaded.notes);
  if (config.ok()) {
    loaded.config = std::move(config.value());
  } else {
    loaded.error = config.message();
  }
  return loaded;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

// "OK", or the text of the error reply.
inline std::string SetText(Config* config, const Pairs& pairs) {
  Status status = config->Set(pairs);
  return status.ok() ? "OK" : status.message();
}

}  // namespace fluxkv::config
