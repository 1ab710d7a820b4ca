// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <icrl/history/column.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {

/// B sequences of up to T steps, as a model trains on them. F = feature_count, A = action_size.
///
/// The numbers of images keep the type in which histories store them: as floats, a batch of 64 windows of 80 images of
/// 84 x 84 x 4 would take 578 MB. A model reads windows with `rows_of`, which converts one window at a time to floats.
struct ContextBatch {
  int sequence_count = 0;  ///< B
  int context = 0;         ///< T
  int feature_count = 0;   ///< F, of a row that a model reads
  int action_size = 0;     ///< A, numbers of an action
  int image_size = 0;      ///< I: numbers of an observation if it is in `images` and not in `features`, else 0
  ElementType image_type = ElementType::u8;  ///< of the numbers in `images`
  std::vector<float> features;               ///< (B, T, F - I) rows of a StepLayout; zeros past a sequence's length
  std::vector<std::byte> images;  ///< (B, T, I) of image_type: boxes of u8 or u16, else empty; zeros like features
  std::vector<float> actions;     ///< (B, T, A) the label of each row: the action that follows it
  std::vector<float> weights;     ///< (B, T) 1 = labeled, 0 = closing row or padding
  std::vector<int> lengths;       ///< (B) rows in use, closing rows among them

  /// Takes the sizes; allocates only when they grow. Contents are left as they are.
  void resize(int sequences, int steps, const StepLayout& layout) {
    sequence_count = sequences;
    context = steps;
    feature_count = layout.feature_count();
    action_size = layout.action_size();
    const bool has_images = !has_ids(layout.observation_space) && is_whole(layout.observation_space);
    image_size = has_images ? layout.observation_size() : 0;
    image_type = has_images ? element_type(layout.observation_space) : ElementType::u8;
    const std::size_t rows = static_cast<std::size_t>(sequences) * static_cast<std::size_t>(steps);
    features.resize(rows * static_cast<std::size_t>(feature_count - image_size));
    images.resize(rows * image_bytes());
    actions.resize(rows * static_cast<std::size_t>(action_size));
    weights.resize(rows);
    lengths.resize(static_cast<std::size_t>(sequences));
  }

  /// Bytes of one observation in `images`.
  [[nodiscard]] std::size_t image_bytes() const { return size_of(image_type) * static_cast<std::size_t>(image_size); }

  /// All T rows of sequence b as a model reads them, (T, F): assembled in `buffer` if there are images, else a view of
  /// `features`. Allocates only when the buffer grows.
  [[nodiscard]] std::span<const float> rows_of(int b, std::vector<float>& buffer) const {
    const auto narrow = features_of(b);
    if (image_size == 0) return narrow;
    const auto row_count = static_cast<std::size_t>(context), row_size = static_cast<std::size_t>(feature_count),
               size = static_cast<std::size_t>(image_size), rest = row_size - size;
    const ColumnView column{images_of(b).data(), image_type, image_size};
    buffer.resize(row_count * row_size);
    for (std::size_t t = 0; t < row_count; ++t) {
      const auto row = std::span{buffer}.subspan(t * row_size, row_size);
      column.read(static_cast<std::int64_t>(t), row.first(size));
      std::ranges::copy(narrow.subspan(t * rest, rest), row.begin() + image_size);
    }
    return buffer;
  }

  /// All T rows of sequence b, (T, F - I); below, its other columns.
  [[nodiscard]] std::span<float> features_of(int b) { return part(std::span{features}, b, narrow_size()); }
  /// (T, I) of image_type, as bytes.
  [[nodiscard]] std::span<std::byte> images_of(int b) { return part(std::span{images}, b, image_bytes()); }
  /// The labels of sequence b, (T, A).
  [[nodiscard]] std::span<float> actions_of(int b) { return part(std::span{actions}, b, label_size()); }
  /// The weights of its rows in the loss, (T).
  [[nodiscard]] std::span<float> weights_of(int b) { return part(std::span{weights}, b, 1); }
  /// (T, F - I), to read only.
  [[nodiscard]] std::span<const float> features_of(int b) const { return part(std::span{features}, b, narrow_size()); }
  /// (T, I) of image_type, as bytes, to read only.
  [[nodiscard]] std::span<const std::byte> images_of(int b) const { return part(std::span{images}, b, image_bytes()); }
  /// The labels, (T, A), to read only.
  [[nodiscard]] std::span<const float> actions_of(int b) const { return part(std::span{actions}, b, label_size()); }
  /// The weights of rows in the loss, (T), to read only.
  [[nodiscard]] std::span<const float> weights_of(int b) const { return part(std::span{weights}, b, 1); }

private:
  [[nodiscard]] std::size_t narrow_size() const { return static_cast<std::size_t>(feature_count - image_size); }
  [[nodiscard]] std::size_t label_size() const { return static_cast<std::size_t>(action_size); }

  template <typename T>
  [[nodiscard]] std::span<T> part(std::span<T> values, int b, std::size_t width) const {
    const std::size_t size = static_cast<std::size_t>(context) * width;
    return values.subspan(static_cast<std::size_t>(b) * size, size);
  }
};

}  // namespace icrl
