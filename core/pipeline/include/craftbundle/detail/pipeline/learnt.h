// What planning has found out, kept beside the journal, so that the next plan opens no checkpoint
// that is as it was. Nothing but time hangs on it: whoever finds none looks again.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/pipeline/journal.h"
#include "craftbundle/detail/pipeline/stage.h"

namespace CRAFTBUNDLE_API craftbundle {

// A forecast holds as long as all files that were opened for it are as they were, and no other has
// appeared beside them.
struct LearntForecast {
  Forecast forecast;              // its files are in `opened`
  std::vector<FileState> opened;  // without ids
  std::vector<KeyPart> beside;    // their directories, with a digest of the names in each

  friend bool operator==(const LearntForecast& one, const LearntForecast& other) {
    return one.forecast.bytes == other.forecast.bytes &&
           one.forecast.notes == other.forecast.notes && one.opened == other.opened &&
           one.beside == other.beside;
  }
};

struct Learnt {
  std::map<std::string, FileState> files;           // by path
  std::map<std::string, LearntForecast> forecasts;  // by what decides them, as Forecasts has it

  friend bool operator==(const Learnt&, const Learnt&) = default;
};

// What lies in `directory`. Nullopt when nothing does, or it is damaged, or was left by another
// version or build of this library; `sink` is told so (debug).
std::optional<Learnt> read_learnt(const Path& directory, Sink& sink);

// Replaces what lies in `directory` as a whole. Where there is no such directory, nothing is kept;
// nor is it an error when that fails (debug).
void write_learnt(const Learnt& learnt, const Path& directory, Sink& sink);

// Forecasts by the fingerprints of what decides them.
//
// Thread: one thread at a time.
class Forecasts {
 public:
  explicit Forecasts(std::map<std::string, LearntForecast> known) : known_(std::move(known)) {}

  // One that was made in this run, or before and of files that are as they were; nullptr when there
  // is none. Valid until add().
  const Forecast* find(const std::string& fingerprint);

  // Keeps a forecast that was just made, and lets go of its files.
  const Forecast& add(const std::string& fingerprint, Forecast forecast);

  // Those that were asked for or made and that can be kept for further runs.
  std::map<std::string, LearntForecast> learnt() const;

 private:
  bool holds(const LearntForecast& learnt);
  const std::string& names_in(const std::string& directory);

  struct Entry {
    LearntForecast learnt;
    bool lasts = false;  // whether it is good for further runs
  };
  std::map<std::string, LearntForecast> known_;
  std::map<std::string, Entry> used_;
  std::map<std::string, std::string> names_;  // by directory
};

}  // namespace craftbundle
