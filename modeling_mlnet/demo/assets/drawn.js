// The text of the boxes that are drawn in a component of boxes.js.

(editor) => editor.boxes;
