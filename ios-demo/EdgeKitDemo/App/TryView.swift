#if canImport(SwiftUI)
import EdgeKitCore
import PhotosUI
import SwiftUI

/// Draw something, or pick a picture, and see what the model says.
struct TryView: View {
    @Bindable var model: AppModel
    @State private var strokes: [[CGPoint]] = []
    @State private var picked: PhotosPickerItem?

    var body: some View {
        NavigationStack {
            ScrollView {
                VStack(spacing: 16) {
                    ArtifactPicker(model: model)
                    if model.bundle?.manifest.preprocessing != nil {
                        DrawingView(strokes: $strokes, ink: ink, paper: paper, aspect: aspect) { picture in
                            Task { await model.answer(picture) }
                        }
                        HStack {
                            Button("Clear") {
                                strokes = []
                                model.clear()
                            }
                            Spacer()
                            PhotosPicker("Pick a picture", selection: $picked, matching: .images)
                        }
                    } else {
                        FailureView(failure: Failure(.noPictureInput, ["model": model.bundle?.manifest.model.name ?? ""]))
                    }
                    AnswerView(model: model)
                }
                .padding()
            }
            .navigationTitle(model.bundle?.manifest.model.name ?? "EdgeKit")
        }
        .onChange(of: picked) { _, item in
            guard let item else { return }
            Task { await read(item) }
        }
    }

    private func read(_ item: PhotosPickerItem) async {
        strokes = []
        do {
            guard let data = try await item.loadTransferable(type: Data.self) else {
                throw Failure(.badPicture, ["reason": "the library did not give it out"])
            }
            // Decoding and preprocessing are slow for a large photograph.
            let picture = try await Task.detached { try PictureReader.read(data) }.value
            await model.answer(picture)
        } catch {
            model.show(error as? Failure ?? Failure(.badPicture, ["reason": error.localizedDescription]))
        }
    }

    /// What lies behind transparent pixels, as the manifest has it, is the paper; the ink is what stands out from it.
    private var background: Int { model.bundle?.manifest.preprocessing?.background ?? 0 }
    private var paper: Color { Color(white: Double(background) / 255) }
    /// Width by height of what the model takes.
    private var aspect: Double {
        guard let resize = model.bundle?.manifest.preprocessing?.resize else { return 1 }
        return Double(resize.width) / Double(resize.height)
    }
    private var ink: Color { background < 128 ? .white : .black }
}

/// A sheet that a finger draws on; every stroke that ends is answered.
struct DrawingView: View {
    @Binding var strokes: [[CGPoint]]
    let ink: Color
    let paper: Color
    let aspect: Double
    let drawn: (Picture) -> Void

    /// In the shape that the model takes, its longer side 280 points.
    private var width: Double { min(280, 280 * aspect) }
    private var height: Double { width / aspect }

    var body: some View {
        lines
            .background(paper)
            .frame(width: width, height: height)
            .clipShape(RoundedRectangle(cornerRadius: 12))
            .overlay(RoundedRectangle(cornerRadius: 12).stroke(.secondary))
            .gesture(
                DragGesture(minimumDistance: 0)
                    .onChanged { value in
                        if value.translation == .zero || strokes.isEmpty { strokes.append([]) }
                        strokes[strokes.count - 1].append(value.location)
                    }
                    .onEnded { _ in answer() }
            )
            .accessibilityLabel("Draw here")
    }

    private var lines: some View {
        Canvas { context, _ in
            for stroke in strokes {
                var path = Path()
                path.addLines(stroke.count == 1 ? stroke + stroke : stroke)
                context.stroke(path, with: .color(ink), style: StrokeStyle(lineWidth: 26, lineCap: .round, lineJoin: .round))
            }
        }
    }

    /// Draws the strokes on nothing: the preprocessing lays them over its background.
    private func answer() {
        let renderer = ImageRenderer(content: lines.frame(width: width, height: height))
        renderer.scale = 1
        if let image = renderer.cgImage, let picture = try? PictureReader.pixels(image) { drawn(picture) }
    }
}

/// Which of the bundle's files answers.
struct ArtifactPicker: View {
    @Bindable var model: AppModel

    var body: some View {
        if let artifacts = model.bundle?.manifest.artifacts, artifacts.count > 1 {
            Picker("Artifact", selection: $model.chosen) {
                ForEach(artifacts.indices, id: \.self) { Text(artifacts[$0].file).tag($0) }
            }
            .pickerStyle(.segmented)
        }
    }
}

/// Labels with probabilities, or what went wrong.
struct AnswerView: View {
    let model: AppModel

    var body: some View {
        if let problem = model.problem {
            FailureView(failure: problem)
        } else if let answer = model.answer {
            VStack(alignment: .leading, spacing: 8) {
                ForEach(answer.classes.prefix(5), id: \.label) { ranked in
                    HStack {
                        Text(ranked.label)
                        ProgressView(value: ranked.probability)
                        Text(ranked.probability, format: .percent.precision(.fractionLength(1))).monospacedDigit()
                    }
                }
                if answer.classes.isEmpty {
                    ForEach(answer.outputs, id: \.name) { output in
                        Text("\(output.name): \(output.doubles().prefix(8).map { String(format: "%.4g", $0) }.joined(separator: ", "))")
                    }
                }
                Text("\(answer.milliseconds, format: .number.precision(.fractionLength(2))) ms").foregroundStyle(.secondary)
            }
        }
    }
}

/// What is wrong, and what to do about it.
struct FailureView: View {
    let failure: Failure

    var body: some View {
        ContentUnavailableView {
            Label(failure.says, systemImage: "exclamationmark.triangle")
        } description: {
            Text(failure.action).textSelection(.enabled)
        }
    }
}
#endif
