-- patch - for defects: changes a few words of a function; raises when they are not there any more.
create function chaos.patch(name text, old text, new text) returns void language plpgsql as $$
declare
  definition text := (select pg_get_functiondef(p.oid) from pg_proc p
    where p.pronamespace = 'jobq'::regnamespace and p.proname = name);
begin
  if definition is null or position(old in definition) = 0 then
    raise 'the defect does not fit jobq.%: "%" is not in it', name, old;
  end if;
  execute replace(definition, old, new);
end $$;
