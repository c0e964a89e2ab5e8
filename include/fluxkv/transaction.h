// A transaction: reads of one moment and its own writes, which nobody sees before Commit. One that
// goes out of scope rolls back.
//
//   Result<Transaction> begun = db.Begin();
//   if (!begun.ok()) return begun.status();
//   Transaction& t = *begun;
//   Result<std::optional<std::string>> stock = t.Get("stock");
//   ...
//   Status status = t.Commit();     // kConflict: begin again, or let transaction() do that
//
// docs/ISOLATION.md tells what each level guarantees and what aborts. An open transaction holds old
// versions back; nothing ends it but its program.
//
// Threads: any, one call at a time. Different transactions may belong to one thread.
// Owns:    its writes. After Close of its database, or the end of its handle, it answers kClosed.
// Errors:  of Commit, kConflict: it is over and left nothing; kOutOfMemory, and kIo when the log
//          takes no writers: refused, it is still open, try again or roll back; kIo afterwards when
//          what was committed could not be written: it is visible, and whether it will be found
//          again is not known.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fluxkv/cursor.h"
#include "fluxkv/options.h"
#include "fluxkv/range.h"
#include "fluxkv/result.h"

namespace fluxkv {

namespace library {
class TransactionState;
}

class Transaction {
 public:
  explicit Transaction(std::shared_ptr<library::TransactionState> state);  // for Begin
  Transaction(Transaction&&) noexcept = default;
  Transaction& operator=(Transaction&& other) noexcept;  // rolls back what this one was
  ~Transaction();                                        // rolls back

  // The value, or none.
  Result<std::optional<std::string>> Get(std::string_view key);
  Result<bool> Contains(std::string_view key);
  // Sets the value, whether there was one or not.
  Status Insert(std::string_view key, std::string_view value, Ttl ttl = kForever);
  // The value that is gone, or none.
  Result<std::optional<std::string>> Remove(std::string_view key);
  Cursor Scan(const Range& range = {});
  Result<std::vector<Entry>> List(const Range& range = {});

  [[nodiscard]] Status Commit();
  void Rollback();
  // Neither committed nor rolled back, nor ended by Close.
  bool is_open() const;
  // Committed, rolled back or moved away by the program: not by Close, or by the end of its handle.
  bool ended() const;
  // Of the commit: the later of two has the larger one. Without writes, the moment of its reads.
  uint64_t stamp() const;

 private:
  std::shared_ptr<library::TransactionState> state_;
};

}  // namespace fluxkv
