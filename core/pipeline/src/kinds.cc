#include "kinds.h"

namespace craftbundle {

StageReaders standard_stages(const Host& host) {
  StageReaders readers;
  readers.push_back(make_export_kind(host));
  readers.push_back(make_bundle_kind(host));
  readers.push_back(make_verify_kind());
  readers.push_back(make_checksum_kind());
  readers.push_back(make_card_kind());
  readers.push_back(make_copy_kind());
  readers.push_back(make_archive_kind());
  readers.push_back(make_command_kind());
  readers.push_back(make_inspect_kind());
  add_plugin_kinds(host, readers);
  return readers;
}

}  // namespace craftbundle
