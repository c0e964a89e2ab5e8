// transaction(closure) of Database and Handle: begins, runs the closure, commits; on a conflict all
// of it again, so many times at most. A closure that returns an error or throws has done nothing.
//
// A closure returns nothing, a Status, a Result<T> or a T; the call answers a Status or a
// Result<T>. It may run more than once, so what it does outside of its transaction it does again.
// An error of kind kConflict from the closure asks for another try. A closure may end the
// transaction itself; one that Close or the end of the handle has ended answers kClosed.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "fluxkv/options.h"
#include "fluxkv/result.h"
#include "fluxkv/transaction.h"

namespace fluxkv::internal {

template <class R>
struct ClosureAnswer {
  using Type = Result<R>;
};
template <>
struct ClosureAnswer<void> {
  using Type = Status;
};
template <>
struct ClosureAnswer<Status> {
  using Type = Status;
};
template <class T>
struct ClosureAnswer<Result<T>> {
  using Type = Result<T>;
};

// A moment, longer with each try, so that those who were in each other's way are not again.
void PauseBeforeTry(int tries);
Status GaveUp(int tries, const Status& last);

template <class Begin, class Closure>
auto RunTransaction(Begin begin, Closure&& closure, int tries_max) {
  using Returned = std::remove_cvref_t<std::invoke_result_t<Closure&, Transaction&>>;
  using Answer = typename ClosureAnswer<Returned>::Type;
  for (int tries = 1;; ++tries) {
    Result<Transaction> begun = begin();
    if (!begun.ok()) return Answer(begun.status());
    Transaction& transaction = *begun;
    Answer answer = [&]() -> Answer {
      if constexpr (std::is_void_v<Returned>) {
        closure(transaction);
        return Status();
      } else {
        return closure(transaction);
      }
    }();
    Status failed;
    if (!answer.ok()) {
      if (answer.kind() != ErrorKind::kConflict) return answer;
      if constexpr (std::is_same_v<Answer, Status>) {
        failed = answer;
      } else {
        failed = answer.status();
      }
    } else if (!transaction.ended()) {
      failed = transaction.Commit();  // kClosed if Close has ended it meanwhile
    }
    if (failed.ok()) return answer;
    if (failed.kind() != ErrorKind::kConflict) return Answer(std::move(failed));
    if (tries >= tries_max) return Answer(GaveUp(tries, failed));
    transaction.Rollback();
    PauseBeforeTry(tries);
  }
}

}  // namespace fluxkv::internal
