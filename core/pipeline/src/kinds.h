// The kinds of stage that core knows.
#pragma once

#include <memory>

#include "craftbundle/detail/pipeline/stage.h"

namespace craftbundle {

std::unique_ptr<const StageReader> make_export_kind(const Host& host);
std::unique_ptr<const StageReader> make_bundle_kind(const Host& host);
std::unique_ptr<const StageReader> make_verify_kind();
std::unique_ptr<const StageReader> make_checksum_kind();
std::unique_ptr<const StageReader> make_card_kind();
std::unique_ptr<const StageReader> make_copy_kind();
std::unique_ptr<const StageReader> make_archive_kind();
std::unique_ptr<const StageReader> make_command_kind();
std::unique_ptr<const StageReader> make_inspect_kind();

// Those that plugins offer, unless their names are taken.
void add_plugin_kinds(const Host& host, StageReaders& readers);

}  // namespace craftbundle
