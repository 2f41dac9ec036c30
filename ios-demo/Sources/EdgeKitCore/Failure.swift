import Foundation

/// A failure that a person can act on: a code that is the same in both apps, and the values that its words have places for.
///
/// The Android app has the same words; a test holds both against `tests/vectors/words.json`.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What can go wrong; the raw value is the name in `words.json` and in `selftest.json`.
    public enum Code: String, Sendable, CaseIterable {
        case noBundle = "no_bundle"
        case missingFile = "missing_file"
        case wrongSHA256 = "wrong_sha256"
        case notAManifest = "not_a_manifest"
        case manifestVersion = "manifest_version"
        case manifestSchema = "manifest_schema"
        case noRuntime = "no_runtime"
        case runtimeTooOld = "runtime_too_old"
        case loadFailed = "load_failed"
        case runFailed = "run_failed"
        case wrongOutput = "wrong_output"
        case noPictureInput = "no_picture_input"
        case noSoundInput = "no_sound_input"
        case badPicture = "bad_picture"
        case nothingToRun = "nothing_to_run"
        case cannotWrite = "cannot_write"
    }

    public let code: Code
    private let values: [String: String]

    public init(_ code: Code, _ values: [String: String] = [:]) {
        self.code = code
        self.values = values.merging(["app": "ios-demo"]) { given, _ in given }
    }

    /// What is wrong.
    public var says: String { filled(code.words.says) }

    /// What to do about it.
    public var action: String { filled(code.words.action) }

    public var description: String { "\(says) \(action)" }

    private func filled(_ words: String) -> String {
        values.reduce(words) { text, pair in
            // The words end the sentence themselves.
            let value = pair.value.trimmingCharacters(in: .whitespacesAndNewlines)
            let bare = value.hasSuffix(".") ? String(value.dropLast()) : value
            return text.replacingOccurrences(of: "{\(pair.key)}", with: bare)
        }
    }
}

extension Failure.Code {
    private static let dropAgain = "Put the bundle into the app again: edgekit drop {app}."
    private static let buildAgain = "Build the bundle again with edgekit build, and put it into the app with edgekit drop {app}."

    /// The words, with places for values in braces.
    public var words: (says: String, action: String) {
        switch self {
        case .noBundle:
            ("No model was put into this app.",
             "On the computer, run: edgekit drop {app}. Then build and install the app again.")
        case .missingFile:
            ("{file} is missing from the app.", Self.dropAgain)
        case .wrongSHA256:
            ("{file} is damaged: its sha256 is {found}, not {expected}.",
             "\(Self.dropAgain) If that does not help, install the app again.")
        case .notAManifest:
            ("{file} is not a manifest: {reason}.", Self.buildAgain)
        case .manifestVersion:
            ("{file} has schema version {found}; this app reads version {expected}.",
             "Take the app and EdgeKit from the same release.")
        case .manifestSchema:
            ("{file} breaks its schema: {place}: {reason}.", Self.buildAgain)
        case .noRuntime:
            ("{file} cannot be run: this app has no runtime for .{format} files.",
             "Choose another artifact of the bundle, or add the runtime to the app.")
        case .runtimeTooOld:
            ("{file} needs {needed}; this app has {found}.",
             "Run edgekit drop {app}, which sets the version, and build the app again.")
        case .loadFailed:
            ("{file} does not load: {reason}.",
             "It needs {needs}. Does the runtime in this app carry that? edgekit inspect shows what a file needs.")
        case .runFailed:
            ("{file} does not run: {reason}.",
             "Run the self-test; if it fails too, build the bundle again with edgekit build.")
        case .wrongOutput:
            ("{file} gave {found} for {output}; the manifest says {expected}.", Self.buildAgain)
        case .noPictureInput:
            ("{model} takes no picture.", "Run the self-test, which uses the inputs in the bundle.")
        case .noSoundInput:
            ("{model} takes no sound.", "Run the self-test, which uses the inputs in the bundle.")
        case .badPicture:
            ("The picture cannot be read: {reason}.", "Choose an ordinary PNG or JPEG.")
        case .nothingToRun:
            ("No artifact of this bundle could be run: {reason}.",
             "Build the bundle with a format that this app has a runtime for: .pte or .onnx.")
        case .cannotWrite:
            ("{file} cannot be written: {reason}.", "Free some storage on this device, and try again.")
        }
    }
}

/// Does something that writes a file, and says so in words if it cannot.
func writing<Result>(_ file: String, _ write: () throws -> Result) throws -> Result {
    do {
        return try write()
    } catch let failure as Failure {
        throw failure
    } catch {
        throw Failure(.cannotWrite, ["file": file, "reason": error.localizedDescription])
    }
}
