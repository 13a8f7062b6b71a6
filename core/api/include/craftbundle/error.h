// The error that everything of Craftbundle throws.
#pragma once

#include "craftbundle/base/error.h"
