// The condition of a stage: "${size} in [small, medium] and not ${draft}".
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace craftbundle {

// Puts values into one operand as written: one text, or those of a list.
using OperandReader = std::function<std::vector<std::string>(const std::string& written)>;

// The value of an expression of ==, !=, in, not in, and, or, not and parentheses; a single operand
// is true, yes, on or 1, or false, no, off or 0. Operands are words, text in quotes, and for `in`
// lists in brackets. Throws Error(usage, "script.condition"), and whatever `read` throws.
bool evaluate_condition(std::string_view text, const OperandReader& read);

}  // namespace craftbundle
