// Arguments of the isolation programs: --name value, every name known, every value checked.
//
//   ToolArguments arguments(argc, argv, {{"seconds", "10"}, {"seed", "1"}});
//   int64_t seconds = arguments.Number("seconds");
//
// Errors: a wrong argument ends the program with exit code 2 and one clear line.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace fluxkv::isolation {

class ToolArguments {
 public:
  ToolArguments(int argc, char** argv, std::map<std::string, std::string> known)
      : values_(std::move(known)) {
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      if (!name.starts_with("--") || !values_.contains(name.substr(2)) || i + 1 == argc)
        Fail("unknown argument or missing value: " + name);
      values_[name.substr(2)] = argv[i + 1];
    }
  }

  const std::string& Text(const std::string& name) const { return values_.at(name); }
  int64_t Number(const std::string& name) const {
    const std::string& text = values_.at(name);
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0)
      Fail("--" + name + " must be a number, not '" + text + "'");
    return value;
  }

 private:
  [[noreturn]] static void Fail(const std::string& message) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::exit(2);
  }
  std::map<std::string, std::string> values_;
};

}  // namespace fluxkv::isolation
