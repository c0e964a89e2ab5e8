// Errors as values. A Status is either good or carries what kind of error it is and one sentence
// for a person; a Result<T> carries a T or a Status.
//
//   Result<int> port = ParsePort(text);
//   if (!port.ok()) return port.status();
//   Use(port.value());
//
// Both are [[nodiscard]]: an error that may be ignored will be. To ask for the value of an error,
// or for the error of a value, is a mistake in the program, and ends it.
//
// Threads: values, no sharing.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace fluxkv {

// What a program can do about an error.
enum class ErrorKind : uint8_t {
  kOther,        // nothing: it is for a person to read
  kConflict,     // the transaction is over and left nothing: repeat it
  kOutOfMemory,  // the limit is reached and nothing may be evicted: make room, or raise it
  kReadOnly,     // a write in a transaction that only reads
  kClosed,       // the database, the handle or the transaction has ended
  kIo,           // the file system refused; nothing that was promised is lost
  kLocked,       // another database has the directory open
  kDamaged,      // the directory's files contradict themselves; fluxkv-check tells more
  kInvalid,      // an argument or an option that cannot be
  kTooMany,      // open transactions, handles, or threads of the process
};

namespace internal {
[[noreturn]] inline void ResultMisused(const char* what, const char* message) {
  std::fprintf(stderr, "fluxkv: %s%s\n", what, message);
  std::fflush(stderr);
  std::abort();
}
}  // namespace internal

class [[nodiscard]] Status {
 public:
  Status() = default;  // good
  Status(const Status& other) { *this = other; }
  Status& operator=(const Status& other) {
    what_ = other.ok() ? nullptr : std::make_unique<What>(*other.what_);
    return *this;
  }
  Status(Status&&) = default;
  Status& operator=(Status&&) = default;
  static Status Error(std::string message) { return Error(ErrorKind::kOther, std::move(message)); }
  static Status Error(ErrorKind kind, std::string message) {
    Status s;
    s.what_ = std::make_unique<What>(What{kind, std::move(message)});
    return s;
  }
  bool ok() const { return what_ == nullptr; }
  // Requires: !ok().
  ErrorKind kind() const { return what().kind; }
  const std::string& message() const { return what().message; }

 private:
  struct What {
    ErrorKind kind;
    std::string message;
  };
  const What& what() const {
    if (what_ == nullptr) internal::ResultMisused("the error of a good Status was asked for", "");
    return *what_;
  }

  std::unique_ptr<What> what_;  // null when good, so the good path allocates nothing
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose, `return value;`
  Result(Status error) : status_(std::move(error)) {  // NOLINT: as above
    if (status_.ok()) internal::ResultMisused("a Result was made of a good Status", "");
  }
  bool ok() const { return value_.has_value(); }
  // Requires: ok().
  T& value() & { return Value(); }
  const T& value() const& { return const_cast<Result*>(this)->Value(); }
  T&& value() && { return std::move(Value()); }
  T& operator*() & { return Value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(Value()); }
  T* operator->() { return &Value(); }
  const T* operator->() const { return &value(); }
  // The error; good if there is none.
  Status status() && { return std::move(status_); }
  const Status& status() const& { return status_; }
  // Requires: !ok().
  ErrorKind kind() const { return status_.kind(); }
  const std::string& message() const { return status_.message(); }

 private:
  T& Value() {
    if (!value_.has_value())
      internal::ResultMisused("the value of an error was asked for: ", message().c_str());
    return *value_;
  }

  std::optional<T> value_;
  Status status_;
};

}  // namespace fluxkv
