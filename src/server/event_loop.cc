#include "server/event_loop.h"

#include <algorithm>
#include <utility>

#include <pthread.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/planted.h"
#include "base/relaxed.h"
#include "engine/handle.h"
#include "engine/store.h"
#include "server/connection.h"
#include "server/sockets.h"

namespace fluxkv::server {
namespace {

// So many connections are read together. Each has its slice of the loop's buffer, larger when they
// are few; the gaps keep slices from beginning at the same place of the processor's caches.
constexpr size_t kReadsTogether = 32;
static_assert(kReadsTogether <= SocketBatch::kMost);
constexpr size_t kReadBufferBytes = 512 * 1024;
constexpr size_t kSliceBytesMax = 64 * 1024;
constexpr size_t kSliceGapBytes = 3 * limits::kCacheLineBytes;
constexpr uint64_t kCronMs = 100;
constexpr size_t kVisitsMin = 32;    // connections visited by one run of the timer, at least
constexpr size_t kVisitRounds = 10;  // runs of the timer in which all have been visited
constexpr uint64_t kLongTurnMs = 1;
constexpr int64_t kTurnUs = 2000;
// No more are left to the next turn: libuv would be told of them again and again.
constexpr size_t kLeftMost = 256;

EventLoop& Self(void* data) {
  return *static_cast<EventLoop*>(data);
}

uv_handle_t* AsHandle(void* handle) {
  return static_cast<uv_handle_t*>(handle);
}

// Takes a connection out of a list in which it knows its place.
void TakeOut(std::vector<Connection*>& list, Connection& connection, size_t Connection::*place) {
  size_t at = std::exchange(connection.*place, Connection::kNowhere);
  if (at == Connection::kNowhere) return;
  list[at] = list.back();
  list[at]->*place = at;
  if (list[at] == &connection) connection.*place = Connection::kNowhere;
  list.pop_back();
}

}  // namespace

EventLoop::EventLoop(uint32_t number, command::Services& services, command::LoopStats& stats,
                     Logger& log)
    : number_(number),
      services_(services),
      stats_(stats),
      log_(log),
      handle_(services.database.Attach()),
      commit_log_(services.database.store().log),
      read_buffer_(std::make_unique_for_overwrite<char[]>(kReadBufferBytes +
                                                          kReadsTogether * kSliceGapBytes)) {
  state_.emplace(number, *handle_, stats);
  dispatcher_.emplace(services, *state_);
  ASSERT(uv_loop_init(&loop_) == 0);
  for (void* handle :
       std::initializer_list<void*>{&async_, &prepare_, &check_, &idle_, &more_, &cron_, &wake_}) {
    AsHandle(handle)->data = this;
  }
  // The mailbox is emptied at the end of the turn that this begins.
  ASSERT(uv_async_init(&loop_, &async_, [](uv_async_t*) {}) == 0);
  uv_prepare_init(&loop_, &prepare_);
  uv_prepare_start(&prepare_, [](uv_prepare_t* h) { Self(h->data).EndTurn(); });
  uv_check_init(&loop_, &check_);
  uv_check_start(&check_, [](uv_check_t* h) {
    EventLoop& self = Self(h->data);
    self.polled_at_ = uv_now(&self.loop_);
    self.ReadReadable();
  });
  uv_idle_init(&loop_, &idle_);
  uv_idle_init(&loop_, &more_);
  uv_timer_init(&loop_, &cron_);
  uv_timer_start(
      &cron_, [](uv_timer_t* h) { Self(h->data).OnCron(); }, kCronMs, kCronMs);
  uv_timer_init(&loop_, &wake_);
  commit_log_.SetListener(handle_->number(), this);
}

EventLoop::~EventLoop() {
  if (!handles_closed_) {  // it never ran
    stopping_ = true;
    CloseHandlesIfEmpty();
    uv_run(&loop_, UV_RUN_DEFAULT);
  }
  ASSERT(uv_loop_close(&loop_) == 0);
  Detach();
}

void EventLoop::Run() {
  thread_.store(std::this_thread::get_id(), kRelaxed);
  pthread_setname_np(pthread_self(), ("loop-" + std::to_string(number())).c_str());
  measured_cpu_ns_ = ThreadCpuNs();
  OpenRing();
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void EventLoop::OpenRing() {
  if (!services_.config.start().io_uring) return;
  std::string why;
  const bool open = sockets_.Open(&why);
  stats_.has_ring.store(open, kRelaxed);
  if (!open && number_ == 0)
    log_.Notice("No io_uring ({}): each read and write is a system call of its own", why);
}

void EventLoop::Detach() {
  if (handle_ == nullptr) return;
  commit_log_.SetListener(handle_->number(), nullptr);
  dispatcher_.reset();
  state_.reset();
  handle_.reset();
}

// ---- The mailbox

template <class Put>
bool EventLoop::PutIntoInbox(Put put) {
  std::lock_guard lock(mutex_);
  if (ended_) return false;
  put(inbox_);
  if (has_mail_.exchange(true, kRelaxed)) return true;
  // Mail from a command of this loop is found at the end of the turn anyway.
  bool from_this_turn = thread_.load(kRelaxed) == std::this_thread::get_id() && !in_end_turn_;
  if (!from_this_turn) uv_async_send(&async_);
  return true;
}

void EventLoop::Post(std::vector<uint64_t> client_ids,
                     std::shared_ptr<const command::Delivery> delivery) {
  PutIntoInbox([&](Inbox& inbox) {
    inbox.letters.push_back({std::move(client_ids), std::move(delivery)});
  });
}

void EventLoop::Wake() {
  PutIntoInbox([](Inbox& inbox) { inbox.wake = true; });
}

void EventLoop::OnSafe() {
  if (std::this_thread::get_id() == thread_.load(kRelaxed) && writes_log_) {
    told_ = true;
    return;
  }
  PutIntoInbox([](Inbox& inbox) { inbox.safe = true; });
}

bool EventLoop::AddSocket(NewSocket socket) {
  return PutIntoInbox([&](Inbox& inbox) {
    inbox.sockets.push_back(std::move(socket));
    assigned_.fetch_add(1, kRelaxed);
  });
}

bool EventLoop::RunTask(std::function<void()> task) {
  return PutIntoInbox([&](Inbox& inbox) { inbox.tasks.push_back(std::move(task)); });
}

void EventLoop::Stop(int64_t deadline_ms) {
  RunTask([this, deadline_ms] { OnStop(deadline_ms); });
}

void EventLoop::EmptyInbox() {
  if (!has_mail_.load(kRelaxed)) return;
  Inbox inbox;
  {
    std::lock_guard lock(mutex_);
    std::swap(inbox, inbox_);
    has_mail_.store(false, kRelaxed);
  }
  for (NewSocket& socket : inbox.sockets) OpenSocket(std::move(socket));
  for (const Letter& letter : inbox.letters) DeliverLetter(letter);
  if (inbox.wake) ResumeDue(/*all=*/true);
  if (inbox.safe) {
    LetGo();
    // It waits for no sync of our own. (The new ones of this turn come to be held.)
    if (commit_log_.loops_may_sync()) FlushAll();
  }
  for (auto& task : inbox.tasks) task();
}

void EventLoop::DeliverLetter(const Letter& letter) {
  for (uint64_t id : letter.client_ids) {
    auto found = by_id_.find(id);
    if (found != by_id_.end()) found->second->Deliver(*letter.delivery);
  }
}

// ---- Connections

void EventLoop::OpenSocket(NewSocket socket) {
  if (stopping_) {
    close(socket.fd);
    assigned_.fetch_sub(1, kRelaxed);
    return;
  }
  auto info = std::make_shared<command::ClientInfo>();
  info->id = services_.clients.NextId();
  info->loop = number();
  info->fd = socket.fd;
  info->created_ms = now_ms();
  info->last_active_ms.store(info->created_ms, kRelaxed);
  info->loopback = socket.unix_socket || IsLoopback(socket.peer);
  if (socket.unix_socket) {
    info->flags.store(command::kClientUnixSocket, kRelaxed);
    info->address = info->local_address = socket.unix_path + ":0";
  } else {
    info->address = AddressText(socket.peer);
    info->local_address = LocalAddressText(socket.fd);
  }
  log_.Verbose("Accepted {}", info->address);
  auto* connection = new Connection(*this, info);  // frees itself in its close callback
  ++objects_;
  connection->index = connections_.size();
  connections_.push_back(connection);
  by_id_[info->id] = connection;
  services_.clients.Add(info);
  stats().connections.Add(1);
  stats().connected.fetch_add(1, kRelaxed);
  if (!connection->Open()) connection->Close();
}

void EventLoop::Remove(Connection& connection) {
  if (connection.flush_index != Connection::kNowhere) {
    to_flush_[std::exchange(connection.flush_index, Connection::kNowhere)] = nullptr;
  }
  if (std::exchange(connection.to_read, false)) std::erase(readable_, &connection);
  RemoveWaiting(connection);
  TakeOut(holding_, connection, &Connection::holding_index);
  sync_group_.Returned(connection.in_sync_group);
  TakeOut(connections_, connection, &Connection::index);
  by_id_.erase(connection.id());
  services_.clients.Remove(connection.id());
  stats().connected.fetch_sub(1, kRelaxed);
  assigned_.fetch_sub(1, kRelaxed);
}

void EventLoop::Freed() {
  --objects_;
  CloseHandlesIfEmpty();
}

void EventLoop::ScheduleFlush(Connection& connection) {
  if (connection.flush_index != Connection::kNowhere || connection.closed()) return;
  connection.flush_index = to_flush_.size();
  to_flush_.push_back(&connection);
}

void EventLoop::AddWaiting(Connection& connection) {
  DEBUG_ASSERT(connection.waiting_index == Connection::kNowhere);
  connection.waiting_index = waiting_.size();
  waiting_.push_back(&connection);
  has_log_waiters_ |= connection.waits_for_log();
  ArmWakeTimer(connection.resume_at_ms());
}

void EventLoop::RemoveWaiting(Connection& connection) {
  TakeOut(waiting_, connection, &Connection::waiting_index);
}

// ---- The turn

void EventLoop::EndTurn() {
  MeasureTurn();
  in_end_turn_ = true;
  EmptyInbox();
  WriteLog();
  FlushAll();
  AwaitLog();
  if (!handles_closed_) handle_->AwaitFreePages();
  more_to_read_ = in_end_turn_ = false;
  turn_began_us_ = 0;
  if (!handles_closed_ && (!readable_.empty() || handle_->has_more_to_free()))
    uv_idle_start(&more_, [](uv_idle_t* h) { Self(h->data).OnMore(); });
}

// The loop does not sleep over memory that it can free, nor over connections that it left.
void EventLoop::OnMore() {
  worked_since_poll_ = true;
  const bool more = handle_->FreeSome();
  if (!more && readable_.empty()) uv_idle_stop(&more_);
}

// When very many are ready libuv polls for more before the turn goes on, and tells of those again
// that have not been read yet.
void EventLoop::AddReadable(Connection& connection) {
  if (!PLANTED(READ_TWICE) && connection.to_read) return;
  DEBUG_ASSERT(!connection.to_read);  // it would be in readable_ twice
  connection.to_read = true;
  readable_.push_back(&connection);
  if (readable_.size() >= kReadsTogether) ReadReadable();
}

// What is read together takes half of kTurnUs, by the time that the last ones took. So a turn with
// no more than kLeftMost to read is half as long again at the most, unless what one connection sent
// is.
void EventLoop::ReadReadable() {
  if (readable_.empty()) return;
  int64_t now = MonotonicUs();
  if (turn_began_us_ == 0) turn_began_us_ = now;
  const auto goes_on = [&] {
    return now - turn_began_us_ < kTurnUs || readable_.size() > kLeftMost ||
           PLANTED(TURN_UNLIMITED);
  };
  while (!readable_.empty() && goes_on()) {
    const size_t count = std::min(readable_.size(), reads_together_);
    ReadSome(count);
    const int64_t took = MonotonicUs() - now;
    now += took;
    if (took > kTurnUs / 2) {
      reads_together_ = std::max<size_t>(count * (kTurnUs / 2) / static_cast<size_t>(took), 1);
    } else if (count == reads_together_ && took < kTurnUs / 4) {
      reads_together_ = std::min(2 * reads_together_, kReadsTogether);
    }
  }
}

std::span<char> EventLoop::ReadSlice(size_t index, size_t count) {
  const size_t bytes = std::min(kReadBufferBytes / count, kSliceBytesMax);
  return {&read_buffer_[index * (bytes + kSliceGapBytes)], bytes};
}

// A command here closes no connection but its own: kills and messages come through the mailbox.
void EventLoop::ReadSome(size_t count) {
  // As long as if all could be read together: fewer are when commands take long, and so that they
  // take less time.
  const size_t slices = std::min(readable_.size(), kReadsTogether);
  std::array<Connection*, kReadsTogether> some;
  std::array<std::span<char>, kReadsTogether> rooms;
  const auto end = readable_.begin() + static_cast<ptrdiff_t>(count);
  std::copy(readable_.begin(), end, some.begin());
  readable_.erase(readable_.begin(), end);
  for (size_t i = 0; i < count; ++i) {
    Connection& connection = *some[i];
    ASSERT(!connection.closed());  // its descriptor may be another's
    // One that was left from the last turn may have stopped reading since: it has a slice more.
    connection.to_read = false;
    rooms[i] = connection.ReadRoom(ReadSlice(i, slices));
    sockets_.Receive(connection.fd(), rooms[i]);
  }
  RunSockets();
  for (size_t i = 0; i < count; ++i) {
    more_to_read_ |= sockets_.result(i) == static_cast<ssize_t>(rooms[i].size());
    some[i]->Received(rooms[i], sockets_.result(i));
  }
  sockets_.Clear();
}

void EventLoop::RunSockets() {
  sockets_.Run();
  if (sockets_.has_ring() || !stats_.has_ring.load(kRelaxed)) [[likely]]
    return;
  stats_.has_ring.store(false, kRelaxed);
  log_.Warning("io_uring failed: each read and write is a system call of its own from now on");
}

void EventLoop::FlushAll() {
  while (!to_flush_.empty()) {
    flushing_.swap(to_flush_);
    std::erase(flushing_, nullptr);
    for (Connection* connection : flushing_) connection->flush_index = Connection::kNowhere;
    const std::span<Connection* const> all(flushing_);
    for (size_t i = 0; i < all.size(); i += SocketBatch::kMost)
      FlushSome(all.subspan(i, std::min(SocketBatch::kMost, all.size() - i)));
    flushing_.clear();
  }
}

void EventLoop::FlushSome(std::span<Connection* const> some) {
  sending_.assign(some.begin(), some.end());
  for (int round = 0; !sending_.empty(); ++round) {
    size_t count = 0;
    for (Connection* connection : sending_) {
      const bool held = round > 0 || connection->holds_first_output();
      iovec pieces[Connection::kPiecesMax];
      const size_t used = connection->NextPieces(pieces, round);
      if (used == 0) continue;
      answered_others_ |= !held;
      sockets_.Send(connection->fd(), {pieces, used});
      sending_[count++] = connection;
    }
    RunSockets();
    size_t more = 0;
    for (size_t i = 0; i < count; ++i) {
      if (sending_[i]->Sent(sockets_.result(i))) sending_[more++] = sending_[i];
    }
    sockets_.Clear();
    sending_.resize(more);
  }
  for (Connection* connection : some) connection->AfterFlush();
}

// A turn is the work between two polls, in CPU time of the thread. That clock is a system call, so
// it is read once a millisecond at most, and a turn that is shorter than that by the loop's own
// clock is not looked at; the figure is up to one millisecond too large.
void EventLoop::MeasureTurn() {
  if (worked_since_poll_) uv_update_time(&loop_);
  worked_since_poll_ = false;
  uint64_t now = uv_now(&loop_);
  if (now == measured_at_) return;
  measured_at_ = now;
  int64_t cpu_ns = ThreadCpuNs();
  int64_t spent_ns = cpu_ns - std::exchange(measured_cpu_ns_, cpu_ns);
  if (now - polled_at_ >= kLongTurnMs && polled_at_ != 0) {
    stats().longest_turn_ns.Max(static_cast<uint64_t>(spent_ns));
  }
}

void EventLoop::OnCron() {
  worked_since_poll_ = true;
  int64_t now = services_.clock.Tick();
  if (on_tick_ && !stopping_) on_tick_();
  handle_->FreeSome();  // what another thread's epoch kept when this loop was last at work
  size_t visits = std::max(kVisitsMin, connections_.size() / kVisitRounds + 1);
  visits = std::min(visits, connections_.size());
  for (size_t i = 0; i < visits && !connections_.empty(); ++i) {
    next_visit_ = next_visit_ >= connections_.size() ? 0 : next_visit_;
    connections_[next_visit_++]->Visit(now);
  }
  if (now < stop_deadline_ms_) return;
  for (Connection* connection : std::vector<Connection*>(connections_)) connection->Close();
}

// ---- Connections that wait

// One step of one parked command a turn, in rotation, so that reads are not kept waiting.
void EventLoop::ResumeOne() {
  worked_since_poll_ = true;
  services_.clock.Tick();
  for (size_t i = 0; i < waiting_.size(); ++i) {
    next_waiting_ = next_waiting_ + 1 >= waiting_.size() ? 0 : next_waiting_ + 1;
    Connection* connection = waiting_[next_waiting_];
    if (connection->resume_at_ms() != 0) continue;
    connection->Resume();
    if (connection->waiting_index != Connection::kNowhere) {
      ArmWakeTimer(connection->resume_at_ms());
    }
    return;
  }
  uv_idle_stop(&idle_);
}

void EventLoop::ResumeDue(bool all) {
  worked_since_poll_ = true;
  int64_t now = services_.clock.Tick();
  wake_at_ms_ = INT64_MAX;
  for (Connection* connection : std::vector<Connection*>(waiting_)) {
    if (connection->waiting_index == Connection::kNowhere) continue;
    if (all || connection->resume_at_ms() <= now) connection->Resume();
  }
  for (Connection* connection : waiting_) ArmWakeTimer(connection->resume_at_ms());
}

void EventLoop::ArmWakeTimer(int64_t at_ms) {
  if (at_ms == 0) {
    uv_idle_start(&idle_, [](uv_idle_t* h) { Self(h->data).ResumeOne(); });
    return;
  }
  if (at_ms >= wake_at_ms_) return;
  wake_at_ms_ = at_ms;
  int64_t delay = std::max<int64_t>(at_ms - services_.clock.Tick(), 1);
  uv_update_time(&loop_);
  uv_timer_start(
      &wake_, [](uv_timer_t* h) { Self(h->data).ResumeDue(/*all=*/false); },
      static_cast<uint64_t>(delay), 0);
}

// ---- The end

void EventLoop::OnStop(int64_t deadline_ms) {
  stop_deadline_ms_ = std::min(stop_deadline_ms_, deadline_ms);
  stopping_ = true;
  for (Connection* connection : std::vector<Connection*>(connections_)) connection->Stop();
  CloseHandlesIfEmpty();
}

void EventLoop::CloseHandlesIfEmpty() {
  if (!stopping_ || objects_ != 0 || handles_closed_) return;
  handles_closed_ = true;
  std::vector<NewSocket> late;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    late.swap(inbox_.sockets);
  }
  for (const NewSocket& socket : late) close(socket.fd);
  for (void* handle :
       std::initializer_list<void*>{&async_, &prepare_, &check_, &idle_, &more_, &cron_, &wake_}) {
    uv_close(AsHandle(handle), nullptr);
  }
}

}  // namespace fluxkv::server
