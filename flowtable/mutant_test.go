package flowtable
import ("testing";"os/exec";"os";"fmt")
func init(){
 var a,b,c,k int
 if n,_:=fmt.Sscanf(os.Getenv("MUT"),"%d,%d,%d,%d",&a,&b,&c,&k); n==4 {
  m:=&transitions[a][b][c]
  switch k {
   case 0: m.Next=State((int(m.Next)+1)%13)
   case 1: m.Check=(m.Check+1)%7
   case 2: m.Write=(m.Write+1)%5
   case 3: m.Step=(m.Step+1)%3
   case 4: m.Else=(m.Else+1)%2
  }
 }
}
func TestMutants(t *testing.T){
 if os.Getenv("MUT")!="" || os.Getenv("MUTALL")=="" {t.Skip()}
 for a:=SynSent;a<=Midstream;a++{ for b:=0;b<2;b++{ for c:=Syn;c<Bad;c++{ for k:=0;k<5;k++{
   if k==4 && transitions[a][b][c].Check==Always {continue}
   if k==2 && transitions[a][b][c].Step!=Pass {continue}
   cmd:=exec.Command(os.Args[0],"-test.run","TCP|Judge|Split|Reopened","-rapid.checks=400","-rapid.nofailfile")
   cmd.Env=append(os.Environ(),fmt.Sprintf("MUT=%d,%d,%d,%d",a,b,c,k))
   if err:=cmd.Run();err==nil { t.Errorf("survivor %v side %d class %d kind %d: %+v",a,b,c,k,transitions[a][b][c]) }
 }}}}
}
