#include "tests/command/harness.h"

#include "base/check.h"
#include "base/parse.h"
#include "command/notify.h"
#include "config/notify_flags.h"

namespace fluxkv::command {
namespace {

std::string_view TakeLine(std::string_view* bytes) {
  size_t end = bytes->find("\r\n");
  ASSERT(end != std::string_view::npos);
  std::string_view line = bytes->substr(0, end);
  bytes->remove_prefix(end + 2);
  return line;
}

std::string TakeBulk(std::string_view* bytes, size_t size) {
  ASSERT(bytes->size() >= size + 2);
  ASSERT(bytes->substr(size, 2) == "\r\n");
  std::string bulk(bytes->substr(0, size));
  bytes->remove_prefix(size + 2);
  return bulk;
}

std::string TakeList(std::string_view* bytes, size_t count, std::string_view open,
                     std::string_view close) {
  std::string text(open);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text += ", ";
    text += TakeReply(bytes);
  }
  return text + std::string(close);
}

std::string TakeMap(std::string_view* bytes, size_t pairs) {
  std::string text = "{";
  for (size_t i = 0; i < pairs; ++i) {
    if (i > 0) text += ", ";
    text += TakeReply(bytes) + ": ";
    text += TakeReply(bytes);
  }
  return text + "}";
}

std::string TextOf(const resp::Output& output) {
  iovec pieces[64];
  int count = output.FillIovecs(pieces, 64);
  std::string text;
  for (int i = 0; i < count; ++i) {
    text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  ASSERT(text.size() == output.size());
  return text;
}

}  // namespace

std::string TakeReply(std::string_view* bytes) {
  std::string_view line = TakeLine(bytes);
  ASSERT(!line.empty());
  char type = line[0];
  line.remove_prefix(1);
  auto count = [&] { return static_cast<size_t>(ParseInt64(line).value()); };
  switch (type) {
    case '+':
      return std::string(line);
    case '-':
      return "(error) " + std::string(line);
    case ':':
      return "(integer) " + std::string(line);
    case ',':
      return "(double) " + std::string(line);
    case '(':
      return "(big) " + std::string(line);
    case '#':
      return line == "t" ? "(true)" : "(false)";
    case '_':
      return "(null)";
    case '$':
      return line == "-1" ? "(nil)" : QuoteBytes(TakeBulk(bytes, count()));
    case '=':
      return QuoteBytes(TakeBulk(bytes, count()).substr(4));
    case '*':
      return line == "-1" ? "(nil)" : TakeList(bytes, count(), "[", "]");
    case '~':
      return TakeList(bytes, count(), "~[", "]");
    case '>':
      return TakeList(bytes, count(), ">[", "]");
    case '%':
      return TakeMap(bytes, count());
    default:
      ASSERT(false);
      return {};
  }
}

CommandHarness::CommandHarness(std::vector<std::string> options) {
  options.insert(options.end(), {"--durability", "none"});
  std::vector<std::string> notes;
  auto config = config::Config::Load(options, &notes);
  ASSERT(config.ok());
  config_ = std::move(config.value());
  engine::Options engine_options;
  engine_options.databases = static_cast<uint32_t>(config_->start().databases);
  engine_options.vacuum_interval_ms = &config_->settings().vacuum_interval_ms;
  engine_options.on_expired = [this](uint32_t db, std::string_view key, engine::Stamp stamp) {
    PublishKeyspaceEvent(pubsub_, config_->settings().notify(), db, config::kNotifyExpired,
                         "expired", key, stamp);
  };
  engine_options.on_deleted = [this](uint32_t db, std::string_view key, engine::Stamp stamp) {
    PublishKeyspaceEvent(pubsub_, config_->settings().notify(), db, config::kNotifyGeneric, "del",
                         key, stamp);
  };
  database_ = std::make_unique<engine::Database>(engine_options, clock_);
  handle_ = database_->Attach();
  slowlog_ = std::make_unique<SlowLog>(config_->settings().slowlog_entries_max);
  stats_.started_ms = clock_.now_ms();
  stats_.run_id = std::string(40, 'a');
  stats_.loops.push_back(std::make_unique<LoopStats>(table_.count()));
  services_ =
      std::make_unique<Services>(Services{*database_, clock_, *config_, table_, pubsub_, clients_,
                                          *slowlog_, latency_, stats_, control_, persistence_});
  loop_ = std::make_unique<LoopState>(0, *handle_, *stats_.loops[0]);
  dispatcher_ = std::make_unique<Dispatcher>(*services_, *loop_);
  pubsub_.SetMailboxes({&box_});
  clients_.SetMailboxes({&box_});
}

CommandHarness::~CommandHarness() {
  while (!sessions_.empty()) Disconnect(sessions_.begin()->first);
}

Session& CommandHarness::session(size_t client) {
  std::unique_ptr<Session>& session = sessions_[client];
  if (session == nullptr) {
    session = std::make_unique<Session>();
    auto info = std::make_shared<ClientInfo>();
    info->id = clients_.NextId();
    info->fd = static_cast<int>(client) + 8;
    info->address = "127.0.0.1:" + std::to_string(50000 + client);
    info->local_address = "127.0.0.1:6379";
    info->loopback = true;
    info->created_ms = clock_.now_ms();
    clients_.Add(info);
    session->info = std::move(info);
    session->authenticated = config_->settings().requirepass_set.load() == 0;
    loop_->stats.connected.fetch_add(1);
  }
  return *session;
}

void CommandHarness::Disconnect(size_t client) {
  auto at = sessions_.find(client);
  ASSERT(at != sessions_.end());
  handle_->Enter();
  dispatcher_->Forget(*at->second);
  handle_->Leave();
  clients_.Remove(at->second->info->id);
  box_.Take(at->second->info->id);
  loop_->stats.connected.fetch_sub(1);
  sessions_.erase(at);
}

std::string CommandHarness::RunRaw(std::vector<std::string> arguments, size_t client) {
  Session& who = session(client);
  std::vector<std::string_view> views(arguments.begin(), arguments.end());
  resp::Output output;
  clock_.Tick();
  handle_->Enter();
  std::unique_ptr<Parked> parked = dispatcher_->Run(who, views, output);
  while (parked != nullptr && !dispatcher_->Resume(who, *parked, output)) {
    handle_->Leave();
    clock_.Tick();
    handle_->Enter();
  }
  parked.reset();
  std::string reply = TextOf(output);
  output.Consume(output.size());
  handle_->Leave();
  return reply;
}

std::string CommandHarness::Run(std::vector<std::string> arguments, size_t client) {
  std::string bytes = RunRaw(std::move(arguments), client);
  std::string_view rest = bytes;
  std::string text;
  while (!rest.empty()) {
    if (!text.empty()) text += ' ';
    text += TakeReply(&rest);
  }
  return text;
}

std::vector<std::string> CommandHarness::Messages(size_t client) {
  Session& who = session(client);
  std::vector<std::string> texts;
  for (const auto& delivery : box_.Take(who.info->id)) {
    resp::Output output;
    Dispatcher::WriteDelivery(who, *delivery, output);
    std::string bytes = TextOf(output);
    std::string_view rest = bytes;
    while (!rest.empty()) texts.push_back(TakeReply(&rest));
  }
  return texts;
}

void CommandHarness::Set(const std::string& option, const std::string& value) {
  ASSERT(config_->Set({{option, value}}, true).ok());
}

}  // namespace fluxkv::command
