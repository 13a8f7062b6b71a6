// The stages of a script as a tree of text.
#pragma once

#include <string>

#include "craftbundle/detail/pipeline/workflow.h"

namespace craftbundle::app {

// A line for each stage, below one that it needs; one that needs several stands in full below the
// first and is named below the others. `utf8`: lines of box drawing characters, else ASCII.
std::string graph_text(const Workflow& workflow, bool utf8);

// Whether the locale of the environment shows UTF-8.
bool is_utf8_locale();

}  // namespace craftbundle::app
