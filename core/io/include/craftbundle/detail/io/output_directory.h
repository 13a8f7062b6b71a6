// A directory that appears at its place whole or not at all.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/io/output_file.h"
#include "craftbundle/detail/io/place.h"

namespace CRAFTBUNDLE_API craftbundle {

// Writes a directory of new files and gives it its place when all of them are complete. Files are
// gathered without names beside the place (see OutputFile), then in a hidden directory that takes
// the name of the place in one step; a directory that was there is exchanged with it and stays
// until the new one is on the disk. Missing parent directories are created, and removed on failure.
//
// Other writers of the same place are kept off by a lock: a hidden file, which only they can open
// who may write there. Where there can be none, whole directories are published still, the last one
// wins.
//
// Thread: one thread at a time.
class OutputDirectory {
 public:
  // Names in a directory, relative to it, that may be removed with it, in this order: it is asked
  // for a directory that is replaced and for what killed runs left. What it does not name is never
  // removed. contents_of() gives everything up.
  using Removable = std::function<std::vector<std::string>(const Path& directory)>;

  // Removes what killed runs left at the place, and puts back a directory that one has moved aside.
  // Throws Error(system, "target.busy") while another writer has the place, Error(usage,
  // "target.parent") when there can be no such place, system when a directory cannot be created.
  OutputDirectory(const Place& place, Durability durability, Sink& sink, Removable removable);
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;
  // Discards everything unless it was published.
  ~OutputDirectory();

  const Place& place() const { return place_; }

  enum class Names {
    portable,  // distinct also for file systems that ignore case
    any,
  };

  // A new file of the directory, owned by it, to be written until complete() or publish(). `name`
  // may have directories in it ("a/b"), which are created. Throws Error(plugin, "output.name") for
  // what is no such name and for one that is taken.
  OutputFile& create(const std::string& name, Names names = Names::portable);

  // All files so far are complete. Lets go of them when they are many, so that a directory may have
  // more files than a process can hold open.
  void complete();

  // Flushes everything (Durability::sync) and gives the directory its place, where nothing or an
  // empty directory may lie or, with `replace`, something that is replaced: in one step, except on
  // file systems that cannot exchange names, where the old one is moved aside for a moment. Throws
  // Error(usage, "target.exists") when something lies there otherwise, system when anything fails;
  // nothing has changed at the place then. What is not removable in the replaced directory is kept
  // under a hidden name and told as a warning. REQUIRES: not published before.
  void publish(bool replace);

 private:
  class Lock;
  struct File {
    std::string name;
    std::unique_ptr<OutputFile> file;
  };
  void remove_left_overs();
  void create_staging();
  void create_parents_of(const std::string& name);
  void stage_files();
  void flush_staging() const;
  std::vector<std::string> removable_in(const Path& directory) const;
  Path take_place(bool replace);
  void give_back_place(const Path& old);
  void remove_replaced(Path old, const std::vector<std::string>& removable);

  Place place_;
  Durability durability_;
  Sink& sink_;
  Removable removable_;
  ParentDirectories parents_;
  std::unique_ptr<Lock> lock_;
  std::set<std::string> taken_;        // names of files and, with '/' at the end, of directories
  std::vector<File> open_;             // files that are not in the staging directory yet
  std::vector<std::string> staged_;    // files that are
  std::set<std::string> directories_;  // in the staging directory, '/' at the end
  Path staging_;                       // to be removed at the end; empty while there is none
  std::unique_ptr<Lock> staging_lock_;
};

}  // namespace craftbundle
