// The manual page, made of what --help says.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace craftbundle::app {

// In roff, for man(1): section 1. `version`: "craftbundle 0.1.0".
std::string manual_page(const CLI::App& app, const std::string& version);

}  // namespace craftbundle::app
