#include "native/core/graph/site.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "native/core/error.h"

namespace dg {
namespace {

constexpr std::array<std::pair<TapSide, const char*>, 5> tapNames{{{TapSide::input, "input"},
                                                                   {TapSide::output, "output"},
                                                                   {TapSide::query, "query"},
                                                                   {TapSide::value, "value"},
                                                                   {TapSide::attention, "attention"}}};

std::pair<std::string_view, std::string_view> splitFirst(std::string_view path) {
  const auto dot = path.find('.');
  if (dot == std::string_view::npos) return {path, {}};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

std::vector<std::string_view> componentsOf(std::string_view path) {
  std::vector<std::string_view> components;
  while (!path.empty()) {
    const auto [head, rest] = splitFirst(path);
    components.push_back(head);
    path = rest;
  }
  return components;
}

// Which beginnings of the path fit what was read of the pattern, one component after the other: to try out what each **
// stands for would take for ever.
bool matchComponents(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path) {
  std::vector<bool> fits(path.size() + 1, false);
  fits[0] = true;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const auto head = pattern[i];
    const bool isAny = head == "**", isLast = i + 1 == pattern.size();
    bool reached = false, before = false;
    for (size_t end = 0; end < fits.size(); ++end) {
      const bool fitted = fits[end];
      const bool fitsOne = end > 0 && before && (head == "*" || head == path[end - 1]);
      // At its end a pattern's ** stands for one component at least.
      fits[end] = isAny ? reached || (fitted && !isLast) : fitsOne;
      reached = reached || fitted;
      before = fitted;
    }
  }
  return fits.back() && !pattern.empty();
}

size_t editDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row.back();
}

// As much of a pattern as a message and a comparison take.
std::string shown(const std::string& pattern) { return pattern.substr(0, 200); }

std::string nearest(const std::vector<Site>& sites, const std::string& pattern, TapSide tap) {
  std::set<std::pair<size_t, std::string>> ranked;
  for (const auto& site : sites) {
    if (site.tap == tap) ranked.emplace(editDistance(site.path, pattern), site.path);
  }
  std::string text;
  size_t listed = 0;
  for (auto it = ranked.begin(); it != ranked.end() && listed < 5; ++it, ++listed) {
    text += (text.empty() ? "" : ", ") + it->second;
  }
  return text.empty() ? "there are none" : "the nearest are " + text;
}

}  // namespace

const char* name(TapSide tap) {
  for (const auto& [value, text] : tapNames) {
    if (value == tap) return text;
  }
  return "?";
}

TapSide tapSideNamed(const std::string& name) {
  for (const auto& [value, text] : tapNames) {
    if (name == text) return value;
  }
  throw Error("BAD_OPTION", "tap is '" + name + "': expected one of 'input', 'output', 'query', 'value', 'attention'.");
}

BlockPaths::BlockPaths(const std::vector<Site>& sites) {
  for (const auto& site : sites) {
    if (site.block) blocks_[site.path] = *site.block;
  }
}

std::optional<int64_t> BlockPaths::blockOf(const std::string& path) const {
  for (auto dot = path.find('.'); true; dot = path.find('.', dot + 1)) {
    const auto block = blocks_.find(path.substr(0, dot));
    if (block != blocks_.end()) return block->second;
    if (dot == std::string::npos) return std::nullopt;
  }
}

bool matches(const std::string& pattern, const std::string& path) {
  return matchComponents(componentsOf(pattern), componentsOf(path));
}

std::vector<int64_t> findSites(const std::vector<Site>& sites, const std::string& pattern, TapSide tap,
                               const std::optional<std::string>& stream) {
  std::vector<int64_t> indices;
  std::set<std::string> streams;
  bool pathFound = false;
  for (size_t index = 0; index < sites.size(); ++index) {
    const auto& site = sites[index];
    if (site.tap != tap || !matches(pattern, site.path)) continue;
    pathFound = true;
    if (site.stream) streams.insert(*site.stream);
    if (!stream || site.stream == stream) indices.push_back(static_cast<int64_t>(index));
  }
  if (!indices.empty()) return indices;
  if (!pathFound) {
    throw Error("SITE_NOT_FOUND", "No submodule with an " + std::string(name(tap)) + " matches '" + shown(pattern) +
                                      "': " + nearest(sites, shown(pattern), tap) +
                                      ". `*` stands for one component of the path.");
  }
  std::string known;
  for (const auto& stream : streams) known += (known.empty() ? "'" : ", '") + stream + "'";
  throw Error("SITE_NOT_FOUND", "'" + shown(pattern) + "' has no stream '" + shown(*stream) + "': " +
                                    (known.empty() ? "its outputs carry no stream names" : "it has " + known) + ".");
}

}  // namespace dg
