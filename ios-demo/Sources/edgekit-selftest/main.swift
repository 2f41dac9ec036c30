import EdgeKitCore
import EdgeKitOnnx
import Foundation

// The app's self-test without the app: edgekit-selftest BUNDLE RESULTS [RUNS]. BUNDLE is what `edgekit build` wrote, or
// the folder in an app that `edgekit drop` filled. Exit code 0: passed, 1: failed, 2: wrong arguments.
let arguments = CommandLine.arguments.dropFirst().map { $0 }
guard 2...3 ~= arguments.count, let runs = arguments.count < 3 ? 200 : Int(arguments[2]) else {
    FileHandle.standardError.write(Data("usage: edgekit-selftest BUNDLE RESULTS [RUNS]\n".utf8))
    exit(2)
}
let bundle = URL(filePath: arguments[0]), results = URL(filePath: arguments[1])
var timing = Timing()
timing.runs = runs
let device = Device(
    name: ProcessInfo.processInfo.hostName, soc: "", os: ProcessInfo.processInfo.operatingSystemVersionString)
let outcome = await SelfTest([OnnxRuntime()], device: device, results: results, timing: timing).run {
    FileManager.default.fileExists(atPath: bundle.appending(path: "bundle.json").path)
        ? try DroppedBundle.dropped(in: bundle) : try DroppedBundle.read(bundle)
}
if let failure = outcome.failure { print("\(failure.code.rawValue): \(failure)") }
for tested in outcome.artifacts {
    print("\(tested.artifact.file): \(tested.status.rawValue)\(tested.reason.map { ", \($0)" } ?? "")")
}
print(outcome.passed ? "passed" : "failed")
exit(outcome.passed ? 0 : 1)
