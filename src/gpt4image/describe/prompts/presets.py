"""The words of the presets. A wording never changes: a better one is appended as the next version."""

PICK_CLASS = (
    "Which one of these does this image show: {classes}? Answer with that one name alone, written exactly as it is "
    "written here. If it is none of them, answer: none."
)
"""No description: the describer as a classifier, for the arm `picks` of a comparison."""

PRESETS: dict[str, tuple[str, ...]] = {
    # The paper's prompt (arXiv 2306.00693, section 3.1).
    "detailed": ("Describe this image in detail.",),
    # The class name is given, as in the paper's third version.
    "class_detailed": (
        "This image shows: {class}. Describe in two or three sentences what can be seen of it: shape, parts, "
        "colours, material, pose and surroundings. Name only what is visible. Answer with the description alone.",
    ),
    "attributes": (
        "List the 4 to 6 visual attributes that best tell this image's main object from similar ones: shape, parts, "
        "pattern, colour, material, setting. Answer with short phrases separated by commas, without a sentence and "
        "without naming what kind of object it is.",
    ),
    # Three-word tags trained best in TextTeacher (arXiv 2605.22098).
    "tags": (
        "Give three words that describe what is visible in this image. Answer with the three words, separated by "
        "commas.",
    ),
    "products": (
        "Describe the product in this photo for a catalogue, in one or two sentences: form, parts, colours, "
        "pattern, material, closure, condition. Leave out the background, guesses at the brand, and price. Answer "
        "with the description alone.",
    ),
    "nature": (
        "Describe the animal, plant or fungus in this photo as a field guide would, in one or two sentences: size "
        "and build, colours and markings, distinctive parts, posture, habitat. Answer with the description alone.",
    ),
    "aerial": (
        "This is an aerial or satellite picture. Describe in one or two sentences the land cover, structures, their "
        "arrangement, colours and textures. Answer with the description alone.",
    ),
    "medical": (
        "This is a medical image. Describe in one or two sentences only what is visible: modality, body part, "
        "shapes, borders, intensities or colours and their distribution. No diagnosis. Answer with the description "
        "alone.",
    ),
    "defects": (
        "This is a picture from quality inspection. Describe in one or two sentences the part, its surface, and "
        "every visible mark: place, shape, size, colour, orientation. Answer with the description alone.",
    ),
    "food": (
        "Describe the food in this photo in one or two sentences: ingredients that can be seen, form, colours, "
        "texture, how it is served. Answer with the description alone.",
    ),
    "pick_class": (PICK_CLASS,),
    # Description and pick of one look at the image; the description comes first, so that the pick can build on it.
    "describe_and_pick": (
        "Describe in one or two sentences what can be seen of this image's main object: shape, parts, colours, "
        "pattern, material, setting; do not name what kind of object it is. Then say which one of the classes below "
        'it shows. Answer with one JSON object and nothing else. Its fields: "description": the description; '
        '"class": the name of the class, written exactly as it is written below, or "none" if it is none of them; '
        '"second": the name of the class that is likeliest after that one, or "none"; "confidence": a whole number '
        'from 0 to 100, how likely "class" is right. The classes: {classes}',
    ),
}
"""Name of each preset and its versions, the first version first."""

FIELDS: dict[str, tuple[str, ...]] = {"describe_and_pick": ("description", "class", "second", "confidence")}
"""Presets whose answers have fields, the description first."""
