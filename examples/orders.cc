// A durable store with keys of a customer and a number: the orders of one customer are a prefix, in
// order of their numbers. They are read while others are written, and changed in one transaction.
//
//   orders [DIRECTORY]     (by default one of its own under /tmp, made anew)
//
// Prints, in a new directory:
// > ada: 1=open 2=open 10=open
// > ada: 1=sent 2=sent 10=sent
// > bob: 1=open
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "fluxkv/fluxkv.h"

namespace {

using fluxkv::Status;
using Key = std::pair<std::string, int>;  // customer, number
using Orders = fluxkv::TypedDatabase<Key, std::string>;
using OrdersInside = fluxkv::TypedTransaction<Key, std::string>;

int Fail(const Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}

// Sends every open order of the customer, or none.
Status SendAll(OrdersInside& orders, const std::string& customer) {
  fluxkv::TypedCursor<Key, std::string> cursor = orders.Scan(Orders::WithFirst(customer));
  for (const auto& [key, state] : cursor) {
    if (state != "open") continue;
    const Status status = orders.Insert(key, "sent");
    if (!status.ok()) return status;
  }
  return cursor.status();
}

Status Show(Orders& orders, const std::string& customer) {
  std::printf("%s:", customer.c_str());
  fluxkv::TypedCursor<Key, std::string> cursor = orders.Scan(Orders::WithFirst(customer));
  for (const auto& [key, state] : cursor) std::printf(" %d=%s", key.second, state.c_str());
  std::printf("\n");
  return cursor.status();
}

Status Run(const std::string& directory) {
  fluxkv::Result<fluxkv::Database> db = fluxkv::Database::Open({.directory = directory});
  if (!db.ok()) return db.status();
  Orders orders(*db);
  for (const Key& key : {Key("ada", 10), Key("bob", 1), Key("ada", 2), Key("ada", 1)}) {
    const Status status = orders.Insert(key, "open");
    if (!status.ok()) return status;
  }
  Status status = Show(orders, "ada");
  if (!status.ok()) return status;
  status = orders.transaction([](OrdersInside& inside) { return SendAll(inside, "ada"); });
  if (!status.ok()) return status;
  status = db->Close();
  if (!status.ok()) return status;

  fluxkv::Result<fluxkv::Database> again = fluxkv::Database::Open({.directory = directory});
  if (!again.ok()) return again.status();
  Orders kept(*again);
  status = Show(kept, "ada");
  return status.ok() ? Show(kept, "bob") : status;
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = argc > 1 ? argv[1] : "/tmp/fluxkv-example-XXXXXX";
  const bool own = argc == 1;
  if (own && mkdtemp(directory.data()) == nullptr) return 1;
  const Status status = Run(directory);
  if (own) std::filesystem::remove_all(directory);
  return status.ok() ? 0 : Fail(status);
}
