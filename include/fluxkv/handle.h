// A thread's own way into a database. Database has the same calls and may be used from any thread;
// threads that work hard each take a Handle, and do not meet then.
//
//   Result<Handle> handle = db.Attach();
//   handle->Insert("k", "v");
//
// Threads: any; two threads that use one handle wait for each other.
// Owns:    its place in the engine; there are some 200. When it goes its transactions are over.
// Errors:  kClosed after Close of its database. As Transaction otherwise; a single call never
//          answers kConflict.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fluxkv/cursor.h"
#include "fluxkv/options.h"
#include "fluxkv/range.h"
#include "fluxkv/result.h"
#include "fluxkv/retry.h"
#include "fluxkv/transaction.h"

namespace fluxkv {

namespace library {
class Slot;
}

class Handle {
 public:
  explicit Handle(std::shared_ptr<library::Slot> slot);  // for Attach
  Handle(Handle&&) noexcept = default;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();

  // Each call is a transaction of its own, as in Transaction.
  Result<std::optional<std::string>> Get(std::string_view key);
  Result<bool> Contains(std::string_view key);
  Status Insert(std::string_view key, std::string_view value, Ttl ttl = kForever);
  Result<std::optional<std::string>> Remove(std::string_view key);
  Cursor Scan(const Range& range = {});
  Result<std::vector<Entry>> List(const Range& range = {});
  // What is known of keys without their values.
  Result<std::vector<KeyMetadata>> Metadata(const Range& range = {});

  Result<Transaction> Begin();  // at the database's level
  Result<Transaction> Begin(Level level);
  // As retry.h says.
  template <class Closure>
  auto transaction(Closure&& closure, Retry retry = {}) {
    return internal::RunTransaction([&] { return retry.level ? Begin(*retry.level) : Begin(); },
                                    std::forward<Closure>(closure), retry.tries_max);
  }

  // To evict one key is to Remove it: what comes back has a value if it was there. This one evicts
  // by the policy until no more than so many bytes are used, so many keys are gone, or none
  // is left that may go. Answers how many went.
  Result<uint64_t> Evict(uint64_t target_bytes, uint64_t keys_max = UINT64_MAX);

 private:
  std::shared_ptr<library::Slot> slot_;
};

}  // namespace fluxkv
