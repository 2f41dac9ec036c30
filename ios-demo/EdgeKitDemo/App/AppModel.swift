#if canImport(SwiftUI)
import EdgeKitCore
import EdgeKitExecuTorch
import EdgeKitOnnx
import SwiftUI

/// What the screens show. Everything slow happens elsewhere: in the runners' actors, or on no actor at all.
@MainActor @Observable
final class AppModel {
    private(set) var bundle: DroppedBundle?
    /// Why there is nothing to show.
    private(set) var failure: Failure?
    /// The artifact that answers.
    var chosen = 0 { didSet { predictor = nil } }
    private(set) var answer: Predictor.Answer?
    /// What went wrong with the last answer.
    private(set) var problem: Failure?
    private(set) var progress: String?
    private(set) var outcome: Outcome?
    /// The files that the self-test has written.
    private(set) var written: [URL] = []

    private let runtimes: [any EdgeKitCore.Runtime] = [ExecuTorchRuntime(), OnnxRuntime()]
    private var predictor: Predictor?

    /// The folder of the app that `edgekit drop` fills.
    private nonisolated static var resources: URL? { Bundle.main.url(forResource: "edgekit", withExtension: nil) }

    /// Finds the bundle; runs the self-test at once if the app was launched with `--selftest`.
    func start() async {
        do {
            bundle = try DroppedBundle.dropped(in: Self.resources)
        } catch {
            failure = error as? Failure
        }
        if ProcessInfo.processInfo.arguments.contains("--selftest") { await selfTest() }
    }

    func answer(_ picture: Picture) async {
        await answering { try await $0.answer(picture) }
    }

    func answer(golden row: Golden) async {
        guard let bundle else { return }
        await answering { try await $0.answer(bundle.inputs(row)) }
    }

    func show(_ failure: Failure) {
        answer = nil
        problem = failure
    }

    func clear() {
        answer = nil
        problem = nil
    }

    private func answering(_ work: @Sendable (Predictor) async throws -> Predictor.Answer) async {
        guard let bundle else { return }
        do {
            let opened: Predictor
            if let predictor {
                opened = predictor
            } else {
                opened = try await Predictor(bundle, bundle.manifest.artifacts[chosen], runtimes)
                predictor = opened
            }
            answer = try await work(opened)
            problem = nil
        } catch {
            answer = nil
            problem = error as? Failure
        }
    }

    func selfTest() async {
        guard progress == nil else { return }
        progress = "Starting"
        outcome = nil
        written = []
        let results = URL.documentsDirectory.appending(path: "selftest")
        outcome = await SelfTest(runtimes, device: .current, results: results).run {
            try DroppedBundle.dropped(in: Self.resources)
        } progress: { step in
            await self.say(step)
        }
        progress = nil
        written = (try? FileManager.default.contentsOfDirectory(at: results, includingPropertiesForKeys: nil)) ?? []
    }

    private func say(_ step: String) { progress = step }
}

extension Device {
    /// This phone. iOS tells the model's identifier, from which the chip follows, but no name of the chip.
    @MainActor static var current: Device {
        var system = utsname()
        uname(&system)
        let machine = withUnsafeBytes(of: &system.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let device = UIDevice.current
        let simulated = ProcessInfo.processInfo.environment["SIMULATOR_MODEL_IDENTIFIER"]
        return Device(
            name: simulated.map { "Simulator of Apple \($0)" } ?? "Apple \(machine)", soc: "",
            os: "\(device.systemName) \(device.systemVersion)")
    }
}
#endif
