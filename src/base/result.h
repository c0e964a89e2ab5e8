// Errors as values. A Status is either good or carries one sentence for a person; a Result<T>
// carries a T or a Status.
//
//   Result<int> port = ParsePort(text);
//   if (!port.ok()) return port.status();
//   Use(port.value());
//
// Both are [[nodiscard]]: an error that may be ignored will be. A broken invariant is not an error,
// it is a CHECK.
// Threads: values, no sharing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace fluxkv {

class [[nodiscard]] Status {
 public:
  Status() = default;  // good
  static Status Error(std::string message) {
    Status s;
    s.message_ = std::make_unique<std::string>(std::move(message));
    return s;
  }
  bool ok() const { return message_ == nullptr; }
  // Requires: !ok().
  const std::string& message() const {
    CHECK(message_ != nullptr);
    return *message_;
  }

 private:
  std::unique_ptr<std::string> message_;  // null when good, so the good path allocates nothing
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose, `return value;`
  Result(Status error) : status_(std::move(error)) { CHECK(!status_.ok()); }  // NOLINT: as above
  bool ok() const { return value_.has_value(); }
  // Requires: ok().
  T& value() {
    CHECK(value_.has_value());
    return *value_;
  }
  const T& value() const {
    CHECK(value_.has_value());
    return *value_;
  }
  Status status() && { return std::move(status_); }
  const std::string& message() const { return status_.message(); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace fluxkv
