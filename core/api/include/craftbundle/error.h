// The error that everything of Craftbundle throws.
#pragma once

#include "craftbundle/detail/base/error.h"
