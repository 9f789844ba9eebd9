// Loads libtorch's libraries by path before the addon that needs them, so that the addon carries no path of the machine
// it was built on: the dynamic linker finds a library that is loaded already by its name. Knows nothing of libtorch.

#include <dlfcn.h>
#include <napi.h>

#include <cstdlib>
#include <string>

namespace {

// Empty when the library was loaded, else the reason.
std::string open(const std::string& path) {
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return "";
  const char* reason = dlerror();
  return reason != nullptr ? reason : "unknown error";
}

// Read once by the OpenMP runtime, when it is loaded. By default its threads spin for milliseconds while they wait for
// each other, which takes a core from the application and stalls both when other processes want the same cores. Here
// they spin for about ten microseconds, which is as long as they mostly wait for each other within a step, and then
// sleep. What the environment says of waiting stands.
void waitBriefly() {
  if (getenv("OMP_WAIT_POLICY") != nullptr || getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "ACTIVE", /*overwrite=*/0);
  setenv("GOMP_SPINCOUNT", "1000", /*overwrite=*/0);
  // Where libtorch brings LLVM's or Intel's runtime, which knows no count.
  setenv("KMP_BLOCKTIME", "0", /*overwrite=*/0);
}

// [sync] preload(paths: string[]): null, or the first failure as a sentence. Throws TypeError.
Napi::Value preload(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  if (!info[0].IsArray()) throw Napi::TypeError::New(env, "preload takes an array of paths.");
  waitBriefly();
  const auto paths = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < paths.Length(); ++i) {
    const auto path = paths.Get(i);
    if (!path.IsString()) throw Napi::TypeError::New(env, "preload takes an array of paths.");
    const auto reason = open(path.As<Napi::String>().Utf8Value());
    if (!reason.empty()) return Napi::String::New(env, reason);
  }
  return env.Null();
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("preload", Napi::Function::New(env, preload));
  return exports;
}

}  // namespace

NODE_API_MODULE(preload, initialise)
