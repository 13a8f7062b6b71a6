#include <sstream>
#include <string>
#include <string_view>

#include "child.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "fuzz_target.h"

namespace {

using namespace craftbundle;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

// What an answer means can be shown to people.
void check_meaning(const Answer& answer) {
  try {
    description_in(answer, "x.so");
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::plugin && !error.code().empty());
    require(printable_lines(error.message()) == error.message());
    require(printable_lines(error.hint()) == error.hint());
  }
  if (const auto failure = failure_in(answer)) require(printable_lines(*failure) == *failure);
}

// Whole answers come back from what encode() writes, anything shorter is none.
void check_answer(const Answer& answer) {
  const std::string text = encode(answer);
  const std::optional<Answer> again = decode(text);
  require(again && again->word == answer.word && again->text == answer.text);
  require(!decode(std::string_view(text).substr(0, text.size() - 1)));
  check_meaning(answer);
}

}  // namespace

// The bytes that a scanner sends, and the same bytes as the items of an answer, which a change of
// their lengths does not spoil.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const std::optional<Answer> answer = decode(text)) check_answer(*answer);
  Answer answer;
  std::istringstream items{std::string(text)};
  std::getline(items, answer.word, '\0');
  for (std::string item; std::getline(items, item, '\0');) answer.text.push_back(item);
  check_answer(answer);
  return 0;
}
