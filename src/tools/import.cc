#include "tools/import.h"

#include <memory>
#include <string>

#include <fmt/format.h>

#include "base/clock.h"
#include "tools/file_source.h"
#include "tools/import_writer.h"
#include "tools/progress.h"
#include "tools/survey.h"
#include "types/rdb_reader.h"

namespace fluxkv::tools {
namespace {

constexpr double kMegabyte = 1e6;
// A name that is listed is cut beyond this; a key may be as long as the file.
constexpr size_t kListedBytesMax = 64 * 1024;

class Import {
 public:
  Import(const ImportOptions& options, FileSource& file, std::FILE* out, std::FILE* notices)
      : options_(options),
        file_(file),
        file_name_(options.file == "-" ? "standard input" : options.file),
        out_(out),
        notices_(notices),
        progress_(notices, file.size()) {}

  Status Run() {
    bool twice = file_.size().has_value() && !options_.dry_run;
    if (twice || options_.dry_run) {
      Status status = Read("checking", nullptr, /*last=*/options_.dry_run);
      if (!status.ok()) return status;
    }
    if (options_.dry_run) {
      Report("would be imported", survey_.strings());
      return {};
    }
    RedisClient::Address address{options_.host, options_.port, options_.socket_path};
    Result<std::unique_ptr<RedisClient>> client = RedisClient::Connect(address);
    if (!client.ok()) return std::move(client).status();
    Status status = LogIn(*client.value(), options_, notices_);
    if (!status.ok()) return status;

    ImportWriter writer(*client.value(), options_.existing);
    for (const auto& [db, strings] : survey_.databases()) {
      status = writer.OpenDatabase(options_.TargetOf(db));
      if (!status.ok()) return status;
    }
    if (twice) status = file_.Rewind();
    if (status.ok()) status = Read("importing", &writer, /*last=*/true);
    return Conclude(writer, std::move(status));
  }

 private:
  // Goes through the whole file; without a writer it only looks.
  Status Read(const char* phase, ImportWriter* writer, bool last) {
    survey_ = {};
    progress_.Begin(phase);
    types::RdbReader reader(file_);
    types::RdbEntry entry;
    for (;;) {
      Result<bool> more = reader.Next(entry);
      if (!more.ok()) {
        // What was sent is counted; the file's error is the one to tell.
        if (writer != nullptr) static_cast<void>(writer->Finish());
        return Status::Error(file_name_ + ": " + more.message());
      }
      if (!more.value()) break;
      Status status = Take(entry, writer, last);
      if (!status.ok()) return status;
      progress_.Show(survey_.keys(), reader.offset());
    }
    version_ = reader.version();
    writer_name_ = reader.writer();
    return writer == nullptr ? Status() : writer->Finish();
  }

  Status Take(const types::RdbEntry& entry, ImportWriter* writer, bool last) {
    bool key = entry.kind != types::RdbEntry::Kind::kFunctionLibrary;
    if (key && !options_.Wants(entry.db)) return {};
    Survey::Fate fate = survey_.Add(entry, RealtimeUs() / 1000);
    if (fate == Survey::Fate::kImport && writer != nullptr) {
      return writer->Put(options_.TargetOf(entry.db), entry);
    }
    if (fate == Survey::Fate::kOtherType && last && options_.list_skipped && key) {
      std::fprintf(out_, "%s: %s\n", entry.type_name.c_str(),
                   ShownKey(entry, kListedBytesMax).c_str());
    }
    return {};
  }

  Status Conclude(const ImportWriter& writer, Status status) {
    progress_.End();
    const ImportWriter::Counts& counts = writer.counts();
    if (status.ok() && (counts.acknowledged() != counts.sent || counts.sent != survey_.strings())) {
      status = Status::Error("the server acknowledged another number of keys than were sent");
    }
    if (!status.ok()) {
      return Status::Error(fmt::format("{}; {} keys were acknowledged, {} refused, {} not answered",
                                       status.message(), counts.acknowledged(), counts.refused,
                                       counts.unanswered()));
    }
    Report("imported", counts.stored);
    if (counts.kept > 0) Count("kept", counts.kept, "keys that the server had already");
    return {};
  }

  void Count(const char* what, uint64_t count, const std::string& of_what) {
    std::fprintf(out_, "%s", fmt::format("{:18} {:>10}  {}\n", what, count, of_what).c_str());
  }

  void Report(const char* verb, uint64_t strings) {
    progress_.End();
    std::string header = fmt::format("{}: RDB version {}", file_name_, version_);
    if (!writer_name_.empty()) header += ", written by " + writer_name_;
    std::fprintf(out_, "%s\n", header.c_str());
    Count(verb, strings,
          fmt::format("of {} strings, {} with a deadline, {:.1f} MB", survey_.strings(),
                      survey_.with_deadline(),
                      static_cast<double>(survey_.string_bytes()) / kMegabyte));
    for (const auto& [db, count] : survey_.databases()) {
      uint32_t target = options_.TargetOf(db);
      Count("", count,
            target == db ? fmt::format("in database {}", db)
                         : fmt::format("in database {}, which becomes {}", db, target));
    }
    Count("expired", survey_.expired(), "strings past their deadline, left out");
    Count("skipped", survey_.other_types(), "of other types");
    std::fputs(survey_.LeftOut().c_str(), out_);
  }

  const ImportOptions& options_;
  FileSource& file_;
  const std::string file_name_;
  std::FILE* const out_;
  std::FILE* const notices_;
  Progress progress_;
  Survey survey_;
  int version_ = 0;
  std::string writer_name_;
};

}  // namespace

Status RunImport(const ImportOptions& options, std::FILE* out, std::FILE* notices) {
  Result<std::unique_ptr<FileSource>> file = FileSource::Open(options.file);
  if (!file.ok()) return std::move(file).status();
  return Import(options, *file.value(), out, notices).Run();
}

}  // namespace fluxkv::tools
