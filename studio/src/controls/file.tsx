/** A button that chooses a file: the browser's own says "no file" of one that the page remembers. */
interface FileButtonProps {
  text: string;
  /** Media types, with commas between them. */
  accept: string;
  id?: string;
  describedBy?: string;
  onFile: (file: File) => void;
}

export function FileButton({ text, accept, id, describedBy, onFile }: FileButtonProps) {
  return (
    <label class="file">
      <span>{text}</span>
      <input
        type="file"
        id={id}
        aria-describedby={describedBy}
        accept={accept}
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0];
          // The same file can be chosen again.
          currentTarget.value = '';
          if (file) onFile(file);
        }}
      />
    </label>
  );
}
